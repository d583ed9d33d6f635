// Hunts: a document that is no OpenAPI, examples that are not valid, parts without a description, ids that are there twice.
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, expect, test } from "vitest";
import { z } from "zod";
import { statusOf } from "../../lib/api/api-error.ts";
import { createApi } from "../../lib/api/app.ts";
import { stderrLogger } from "../../lib/embedded/logger.ts";
import { createEngine } from "../../lib/index.ts";

type Json = Record<string, unknown>;

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
  }[];
  readonly requestBody?: { readonly description?: string };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Json>>; readonly securitySchemes: Json };
  readonly security: readonly Json[];
  readonly tags: readonly { readonly name: string }[];
}

const engine = await createEngine({ workflows: [] });

const api = createApi({
  commands: engine.commands,
  queries: engine.queries,
  operations: engine.operations,
  waitForEnd: (runId) => engine.commands.get(runId),
  cursorKey: () => engine.cursorKey(),
  logger: stderrLogger(),
});
const document = (await (await api.request("/openapi.json")).json()) as Document;
afterAll(() => engine.stop());

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ route: `${method.toUpperCase()} ${path}`, path, operation })),
);

test("the document is OpenAPI 3.1", async () => {
  const validator = new Validator();
  const result = await validator.validate(JSON.parse(JSON.stringify(document)) as Json);
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
  expect(validator.version).toBe("3.1");
});

test("every reference leads somewhere, and every component is referred to", () => {
  const references = new Set(
    [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name),
  );
  expect([...references].toSorted()).toEqual(Object.keys(document.components.schemas).toSorted());
});

test("operations have an id of their own, a summary and a known tag", () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  const tags = document.tags.map(({ name }) => name);
  for (const { route, operation } of operations) {
    expect(operation.summary, route).toMatch(/^[A-Z].{5,}/);
    expect(tags, route).toEqual(expect.arrayContaining([...operation.tags]));
  }
});

test("parameters and bodies are described, and those of the path are exactly those in it", () => {
  for (const { route, path, operation } of operations) {
    const parameters = operation.parameters ?? [];
    for (const { name, description } of parameters) expect(description, `${route} ${name}`).toMatch(/.{5,}/);
    if (operation.requestBody !== undefined) expect(operation.requestBody.description, route).toMatch(/.{5,}/);
    const inPath = parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
    expect(inPath, route).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
  }
});

test("errors are told by the codes of their status, and some by every route", () => {
  for (const { route, operation } of operations) {
    const told = Object.entries(operation.responses).flatMap(([status, { description }]) =>
      Number(status) < 400 ? [] : [...description.matchAll(/`(\w+)`/g)].map(([, code]) => [status, code] as const),
    );
    for (const [status, code] of told) expect(String(statusOf[code as keyof typeof statusOf]), route).toBe(status);
    const codes = told.map(([, code]) => code);
    expect(codes, route).toEqual(
      expect.arrayContaining(["invalid_request", "forbidden_origin", "url_too_long", "internal_error", "unavailable"]),
    );
    const ofBodies = ["malformed_json", "payload_too_large", "unsupported_content_type"];
    if (operation.requestBody !== undefined) expect(codes, route).toEqual(expect.arrayContaining(ofBodies));
  }
});

test("who may ask is described: by a signature, by a bearer token, or anybody", () => {
  expect(document.security).toEqual([{ sigv4: [] }, { bearer: [] }, {}]);
  expect(Object.keys(document.components.securitySchemes)).toEqual(["sigv4", "bearer"]);
});

test("every example is valid by the schema that it stands in", () => {
  let examples = 0;
  const visit = (node: unknown, place: string): void => {
    if (typeof node !== "object" || node === null) return;
    const at = node as Json;
    if ("example" in at && ("schema" in at || "type" in at || "$ref" in at || "allOf" in at)) {
      examples++;
      const schema = ("schema" in at ? at.schema : at) as Json;
      const $defs = document.components.schemas;
      const whole = JSON.parse(
        JSON.stringify({ ...schema, $defs }).replaceAll("#/components/schemas/", "#/$defs/"),
      ) as Json;
      const parsed = z.fromJSONSchema(whole).safeParse(at.example);
      expect(parsed.success ? [] : parsed.error.issues, place).toEqual([]);
    }
    for (const [key, child] of Object.entries(at)) if (key !== "example") visit(child, `${place}/${key}`);
  };
  visit(document, "");
  expect(examples).toBeGreaterThan(30);
});

test("every body and every answer that is an object of its own has an example", () => {
  const shown = [
    "Run",
    "Started",
    "RunPage",
    "Failures",
    "Stats",
    "Operation",
    "OperationEstimate",
    "Workflow",
    "Workflows",
  ];
  const asked = ["StartRequest", "ForkRequest", "RedriveRequest", "CallbackFailure", "OperationRequest"];
  for (const name of [...shown, ...asked, "Error", "CallbackAnswered", "Health", "Index"]) {
    expect(document.components.schemas[name], name).toHaveProperty("example");
  }
});
