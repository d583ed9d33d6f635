// Hunts: a text of a user, an outside party or a server that moves the cursor, changes the terminal or shows another order than it has.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import * as z from "zod";
import { createPlainDisplay } from "../../lib/dev/display.ts";
import { type DevServer, startDevServer } from "../../lib/dev/http-server.ts";
import { oneLine, printable, printableJson } from "../../lib/dev/text.ts";
import { createEngine, type Engine, FatalError, workflow } from "../../lib/index.ts";
import { say } from "../cli/in-process.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { growth, tooSteep } from "./growth.ts";
import { hostileTexts, terminalCommands } from "./hostile.ts";

const evil = hostileTexts.filter((text) => terminalCommands.test(text)).join("|");
/** Has to be there: what shows nothing is no proof. */
const mark = "|seen";
const hostileText = evil + mark;

const tokens: string[] = [];
const hostile = workflow("hostile", { input: z.unknown() }, (w) => {
  const paid = w.callback("paid", {
    onFailure: "continue",
    retry: { maxAttempts: 1 },
    run: ({ token }) => void tokens.push(token),
  });
  const asked = w.step("asked", { run: ({ interrupt }) => interrupt({ question: hostileText }, z.string()) });
  const said = w.step("said", { afterSettled: [paid], run: () => ({ [hostileText]: hostileText }) });
  return w.step("end", { after: [said], afterSettled: [asked], run: ({ outputs }) => outputs.said });
});
const broken = workflow("broken", {}, (w) =>
  w.step("breaks", {
    run: ({ background }) => {
      background(Promise.reject(new Error(hostileText)));
      throw Object.assign(new FatalError(hostileText), { name: evil.slice(0, 20) + mark });
    },
  }),
);

function expectHarmless(text: string): void {
  expect(terminalCommands.exec(text)?.[0]).toBeUndefined();
}

describe("the command line", () => {
  let engine: Engine;
  let server: DevServer;
  let url: string;

  beforeAll(async () => {
    const logger = createRecordingLogger();
    engine = await createEngine({ workflows: [hostile, broken], logger });
    server = await startDevServer({ engine, port: 0, logger });
    ({ url } = server);
    const waits = new Promise<void>((resolve) => {
      engine.onUpdate(({ after }) => {
        if (after.runId === "h" && [0, 1].every((at) => after.steps[at]?.status === "waiting")) resolve();
      });
    });
    await engine.start(hostile, {
      runId: "h",
      input: hostileText,
      tags: { [evil.slice(0, 100)]: hostileText.slice(-100) },
    });
    await waits;
    await engine.commands.callbacks.fail(tokens[0] ?? "", { name: evil.slice(0, 30) + mark, message: hostileText });
    await engine.start(broken, { runId: "b" });
    await engine.waitForEnd("b");
  });
  afterAll(async () => {
    await server.close();
    await engine.stop({ graceMs: 0 });
  });

  test.each([
    ["show", "h"],
    ["show", "b"],
    ["output", "h", "said"],
    ["input", "h"],
    ["ls"],
    ["ls", "--status", "failed"],
    ["failures"],
    ["stats"],
    ["tail", "b"],
    ["graph", "hostile"],
    ["workflows"],
  ])("%s %s %s", async (...words) => {
    const args: readonly string[] = words;
    const plain = await say(...args, "--url", url);
    const asJson = await say(...args, "--url", url, "--json");
    for (const { out, err } of [plain, asJson]) {
      expectHarmless(out);
      expectHarmless(err);
    }
    const tells = args.length > 1 && !["graph", "stats"].includes(args[0] ?? "");
    if (tells) expect(plain.out).toContain(mark);
  });

  test("as JSON nothing is lost", async () => {
    const { out } = await say("show", "h", "--url", url, "--json");
    const run = JSON.parse(out) as { input: unknown; tags: Record<string, string> };
    expect(run.input).toBe(hostileText);
    const { out: output } = await say("output", "h", "said", "--url", url);
    expect(JSON.parse(output)).toEqual({ [hostileText]: hostileText });
  });

  test("refusals repeat what was typed, and do nothing with it", async () => {
    for (const args of [
      ["show", evil],
      ["signal", "h", evil],
      ["start", evil],
      ["output", "h", evil],
    ]) {
      const { code, out, err } = await say(...args, "--url", url);
      expect(code).toBe(1);
      expectHarmless(out);
      expectHarmless(err);
    }
  });
});

test("a server that means ill says nothing to the terminal", async () => {
  const run = {
    runId: hostileText,
    workflow: hostileText,
    fingerprint: hostileText,
    status: "failed",
    redrives: 0,
    createdAt: new Date(0).toISOString(),
    steps: { [hostileText]: { status: "failed", attempt: 1, error: { name: evil, message: hostileText } } },
    error: { name: evil, message: hostileText, step: hostileText },
    pause: { code: "requested", message: hostileText },
    parent: { runId: hostileText, step: hostileText },
    forkedFrom: { runId: hostileText, from: hostileText },
    output: hostileText,
  };
  const answers: readonly unknown[] = [
    run,
    { runs: [run] },
    { error: { code: evil, message: hostileText, details: null, docs: evil } },
    { message: hostileText },
    hostileText,
  ];
  let answer: unknown;
  let status = 200;
  const server = createServer((_request, response) => {
    const body = typeof answer === "string" ? answer : JSON.stringify(answer);
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let seen = 0;
  for (answer of answers) {
    for (status of [200, 404, 500]) {
      for (const args of [["show", "r"], ["ls"], ["tail", "r"], ["cancel", "r"], ["bulk", "show", "o"]]) {
        for (const more of [[], ["--json"]]) {
          const { out, err } = await say(...args, ...more, "--url", url);
          expectHarmless(out);
          expectHarmless(err);
          if ((out + err).includes(mark)) seen++;
        }
      }
    }
  }
  expect(seen).toBeGreaterThan(20);
});

test("the plain display says it in one line, whatever a step logs or throws", () => {
  const lines: string[] = [];
  const display = createPlainDisplay({ write: (text: string) => lines.push(text) > 0 });
  const error = Object.assign(new Error(hostileText), { name: evil });
  display.log({ level: "error", message: hostileText, fields: { error, [evil]: hostileText, list: [hostileText] } });
  expect(lines).toHaveLength(1);
  expect(lines[0]?.trimEnd()).toContain(mark);
  expectHarmless(lines[0]?.trimEnd() ?? "");
});

describe("texts", () => {
  test("stay one line, or their lines, or their JSON value", () => {
    for (const text of hostileTexts) {
      expectHarmless(oneLine(text));
      expect(oneLine(text)).not.toMatch(/[\n\t]/);
      expectHarmless(printable(`a\n${text}`));
      const json = printableJson({ [text]: [text] }, 2);
      expectHarmless(json);
      expect(JSON.parse(json)).toEqual({ [text]: [text] });
    }
    expect(oneLine("  a \n\t b  c\u202e ")).toBe("a b  c");
    expect(printable("a\u001b[31m\n\tb\u009b\u2066")).toBe("a\n\tb");
    expect(oneLine("grüße 👩‍👩‍👧‍👦 שלום")).toBe("grüße 👩‍👩‍👧‍👦 שלום");
  });

  test.each([" ", "\n", "\t", "\u001b", "\u001b[", "\u001b]8;;", "\u009b", "\u2028 ", "\u202e"])(
    "of %j take a time that grows with their length",
    async (piece) => {
      for (const clean of [oneLine, printable]) {
        expect(await growth((size) => clean(`${piece.repeat(size)}x`), 4_000)).toBeLessThan(tooSteep);
      }
    },
  );
});
