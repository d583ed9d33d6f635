// Hunts metrics, log fields and span attributes that users meet and find nowhere described, and descriptions of what is gone.
import { globSync, readFileSync } from "node:fs";
import ts from "typescript";
import { expect, test } from "vitest";
import { metricNames } from "../../lib/aws/metric-names.ts";

const page = readFileSync("docs/observability.md", "utf8");

/** First column of the table below this heading. */
function described(heading: string): string[] {
  const [, section = ""] = page.split(`## ${heading}\n`);
  const [rows = ""] = section.split("\n## ");
  return [...rows.matchAll(/^\| `([^`]+)`/gm)].map(([, name = ""]) => name);
}

const sources = globSync("{lib,functions}/**/*.ts").map((file) =>
  ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true),
);

function each(visit: (node: ts.Node) => void): void {
  const walk = (node: ts.Node): void => {
    visit(node);
    ts.forEachChild(node, walk);
  };
  for (const source of sources) walk(source);
}

function keysOf(node: ts.Node | undefined): string[] {
  if (node === undefined) return [];
  if (!ts.isObjectLiteralExpression(node)) return [];
  return node.properties.flatMap((property) => {
    if (ts.isShorthandPropertyAssignment(property)) return [property.name.text];
    if (ts.isPropertyAssignment(property)) return [property.name.getText().replaceAll('"', "")];
    // `...(x === undefined ? {} : { x })`
    if (!ts.isSpreadAssignment(property)) return [];
    const spread: string[] = [];
    const walk = (part: ts.Node): void => {
      spread.push(...keysOf(part));
      if (!ts.isObjectLiteralExpression(part)) ts.forEachChild(part, walk);
    };
    walk(property.expression);
    return spread;
  });
}

test("every field of a log line is described, and nothing else is", () => {
  const found = new Set<string>();
  each((node) => {
    if (!ts.isCallExpression(node)) return;
    const called = node.expression.getText();
    if (/^(this\.#ports\.|ports\.)?(log|logger|#logger|this\.#logger)\.(debug|info|warn|error)$/.test(called)) {
      for (const key of keysOf(node.arguments[1])) found.add(key);
    }
    if (/(^|\.)(withFields|appendKeys)$/.test(called)) for (const key of keysOf(node.arguments.at(-1))) found.add(key);
  });
  expect(found.size).toBeGreaterThan(15);
  expect(described("Log fields").toSorted()).toEqual([...found].toSorted());
});

test("every metric is described", () => {
  expect(described("Metrics").toSorted()).toEqual([...metricNames].toSorted());
});

test("every attribute of a span is described", () => {
  const found = new Set<string>();
  each((node) => {
    const isOurs = node.getSourceFile().fileName.endsWith("lib/runtime/tracing.ts");
    if (isOurs && ts.isStringLiteral(node) && /^(pawl\.|error\.)/.test(node.text)) found.add(node.text);
  });
  // Names of spans have a space.
  const attributes = described("Traces").filter((name) => !name.includes(" "));
  expect(attributes.toSorted()).toEqual([...found].toSorted());
});
