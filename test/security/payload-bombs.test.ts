// Hunts: a body that is small to send and costs much to read: deep, wide, long or odd JSON that ends in a crash, a 500, or quadratic time.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { bodyBytes } from "../../lib/api/schemas.ts";
import { limits } from "../../lib/definition/limits.ts";
import { createEngine, type Engine, workflow } from "../../lib/index.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { type Answered, type Ask, apiOf } from "./api-of.ts";
import { growth, tooSteep } from "./growth.ts";

const tokens: string[] = [];

/** Its schemas refer to themselves: these are what overflows first. */
const bombed = workflow("bombed", { input: z.json() }, (w) => {
  const go = w.signal("go", { payload: z.json() });
  const paid = w.callback("paid", { output: z.json(), run: ({ token }) => void tokens.push(token) });
  const asked = w.step("asked", { run: ({ interrupt }) => interrupt("well?", z.json()) });
  return w.step("end", { after: [go, paid, asked], run: () => "done" });
});

const loose = workflow("loose", { input: z.unknown() }, (w) => w.step("only", { run: () => 1 }));

const returns = workflow("returns", { input: z.int() }, (w) =>
  w.step("deep", {
    output: z.json(),
    retry: { maxAttempts: 5 },
    run: ({ input }): z.output<ReturnType<typeof z.json>> => JSON.parse(brackets(input)),
  }),
);

function brackets(depth: number): string {
  return "[".repeat(depth) + "]".repeat(depth);
}

function braces(depth: number): string {
  return `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
}

const logger = createRecordingLogger();
let engine: Engine;
let ask: Ask;
const runId = "waits";

beforeAll(async () => {
  engine = await createEngine({ workflows: [bombed, loose, returns], logger });
  ask = apiOf(engine, logger);
  const waiting = new Promise<void>((resolve) => {
    const unsubscribe = engine.onUpdate(({ after }) => {
      if (after.steps.filter((state) => state?.status === "waiting").length < 3) return;
      unsubscribe();
      resolve();
    });
  });
  await ask("POST /workflows/bombed/runs", { input: 1, runId });
  await waiting;
});
afterAll(() => engine.stop({ graceMs: 0 }));

async function interruptId(): Promise<string> {
  const { body } = await ask(`GET /runs/${runId}`);
  return body.steps.asked.interrupt.id as string;
}

/** Whatever is sent: a refusal that says why, in some hundred characters, and never an accident. */
function expectRefusal({ status, body }: Answered, codes: readonly string[]): void {
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
  expect(codes).toContain(body.error.code);
  expect(JSON.stringify(body).length).toBeLessThan(20_000);
}

describe.each([5_000, 100_000])("JSON of %i levels", (depth) => {
  describe.each([brackets, braces])("%o", (make) => {
    test.each(["bombed", "loose"])("is no input of %s", async (name) => {
      const answer = await ask(`POST /workflows/${name}/runs`, `{"input":${make(depth)}}`);
      expectRefusal(answer, ["invalid_input"]);
      expect(answer.body.error.message).toContain("nested deeper than 100 levels");
    });

    test("is no signal, no output of a callback, no answer, and uses none of them up", async () => {
      const routes = [`/runs/${runId}/signals/go`, `/callbacks/${tokens[0]}/succeed`];
      routes.push(`/runs/${runId}/interrupts/${await interruptId()}`);
      for (const route of routes) expectRefusal(await ask(`POST ${route}`, make(depth)), ["invalid_payload"]);
    });

    test("is nothing else that a body may say", async () => {
      const inside = make(depth);
      for (const body of [inside, `{"tags":${inside}}`, `{"runId":${inside}}`, `{"tags":{"a":${inside}}}`]) {
        expectRefusal(await ask("POST /workflows/loose/runs", body), ["invalid_request"]);
      }
      for (const body of [`{"filter":${inside},"action":"cancel"}`, `{"action":${inside}}`]) {
        expectRefusal(await ask("POST /operations", body), ["invalid_request"]);
      }
      expectRefusal(await ask(`POST /callbacks/${tokens[0]}/fail`, inside), ["invalid_request"]);
      const byHand = `{"set":{"go":${inside}},"by":"a","reason":"b"}`;
      expectRefusal(await ask(`POST /runs/${runId}/redrive`, byHand), [
        "invalid_request",
        "invalid_payload",
        "status_conflict",
      ]);
      expectRefusal(await ask("POST /workflows/loose/runs", `${inside}x`), ["malformed_json"]);
    });
  });
});

test("as deep as is allowed is taken, one level more is not", async () => {
  const start = (depth: number): Promise<Answered> =>
    ask("POST /workflows/bombed/runs", `{"input":${brackets(depth)}}`);
  expect((await start(limits.payloadDepth + 1)).status).toBe(202);
  expectRefusal(await start(limits.payloadDepth + 2), ["invalid_input"]);
});

test("what a step returns too deep fails it once, and says so", async () => {
  const { runId: id } = (await ask("POST /workflows/returns/runs", { input: 50_000 })).body;
  const run = await engine.waitForEnd(id);
  expect(run.steps.deep).toMatchObject({ status: "failed", attempt: 1, error: { name: "InvalidOutput" } });
  expect(run.error?.message).toContain("nested deeper than 100 levels");
});

describe("a body of the largest size", () => {
  const large = bodyBytes - 1_000;
  const bodies: Readonly<Record<string, () => string>> = {
    "a wide input": () => `{"input":[${"0,".repeat(large / 2 - 10)}0]}`,
    "many lists": () => `{"input":[[]${",[]".repeat(large / 3 - 10)}]}`,
    "a long text": () => `{"input":"${"x".repeat(limits.payloadBytes)}"}`,
    "many tags": () => `{"tags":{${Array.from({ length: 100_000 }, (_, at) => `"key${at}":0`).join()}}}`,
    "many fields": () => `{${Array.from({ length: 100_000 }, (_, at) => `"key${at}":0`).join()}}`,
    "one byte more": () => `{"input":"${"x".repeat(bodyBytes)}"}`,
  };

  test.each(Object.entries(bodies))("is bounded: %s", async (_name, body) => {
    const answer = await ask("POST /workflows/loose/runs", body());
    expectRefusal(answer, ["payload_too_large", "invalid_input", "invalid_request"]);
  });

  const growing: Readonly<Record<string, (size: number) => string>> = {
    wide: (size) => `{"input":[${"0,".repeat(size / 2)}0],"x":1}`,
    "many keys": (size) => `{${Array.from({ length: size / 12 }, (_, at) => `"k${at}":0`).join()}}`,
    brackets: (size) => `{"input":${brackets(size / 2)}}`,
    "open brackets": (size) => "[".repeat(size),
    "an open string": (size) => `{"input":"${"x".repeat(size)}`,
    "lines before the fault": (size) => `${"\n".repeat(size)}x`,
    "a large number": (size) => `{"input":1${"0".repeat(size)}}`,
  };

  test.each(Object.entries(growing))(
    "takes a time that grows with it, not with its square: %s",
    async (_name, body) => {
      const send = (size: number): Promise<Answered> => ask("POST /workflows/loose/runs", body(size));
      expect(await growth(send, 8_000)).toBeLessThan(tooSteep);
    },
  );
});

test("odd numbers and double keys come to what JSON says of them", async () => {
  const odd = '{"input":{"a":1,"a":2,"e":1e400,"f":12345678901234567890,"g":-0,"h":1e-400}}';
  const refused = await ask("POST /workflows/loose/runs", odd);
  expectRefusal(refused, ["invalid_input"]);
  expect(refused.body.error.message).toContain(".e is Infinity");
  await ask("POST /workflows/loose/runs", '{"runId":"odd","input":{"a":1,"a":2,"f":12345678901234567890}}');
  const { input } = await engine.commands.get("odd");
  expect(input).toEqual({ a: 2, f: 12345678901234567000 });
});

test("after all this the server serves, and what waited goes on", async () => {
  const { body } = await ask(`GET /runs/${runId}`);
  expect(body.steps).toMatchObject({
    go: { status: "waiting" },
    paid: { status: "waiting" },
    asked: { status: "waiting" },
  });
  await ask(`POST /runs/${runId}/signals/go`, "1");
  await ask(`POST /callbacks/${tokens[0]}/succeed`, "2");
  await ask(`POST /runs/${runId}/interrupts/${await interruptId()}`, "3");
  expect((await engine.waitForEnd(runId)).output).toBe("done");
  expect(logger.lines.filter(({ level }) => level === "error")).toEqual([]);
});
