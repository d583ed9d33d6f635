// Hunts: a key that reaches the prototype of all objects, is lost on the way, or is taken for what an object has by itself.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { performDirectCommand } from "../../lib/api/direct-command.ts";
import { canonicalJson, serialize } from "../../lib/definition/json.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { decodeRun } from "../../lib/engine/codec.ts";
import { createEngine, type Engine, workflow } from "../../lib/index.ts";
import { parseMessage } from "../../lib/runtime/message-codec.ts";
import { parseNotice } from "../../lib/runtime/notice-codec.ts";
import { temporaryFolder } from "../behaviour/harness.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { type Ask, apiOf } from "./api-of.ts";
import { sharedFolder } from "./shared-folder.ts";

/** As text: written in code, these would not be keys. */
const polluting = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":2}},"prototype":{"polluted":3}}';
const nested = `{"a":[${polluting}],"__proto__":${polluting},"__defineGetter__":1,"hasOwnProperty":null}`;

const untouched = JSON.stringify(Object.getOwnPropertyNames(Object.prototype));

afterEach(() => {
  expect(JSON.stringify(Object.getOwnPropertyNames(Object.prototype))).toBe(untouched);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

const echo = workflow("echo", { input: z.unknown() }, (w) => w.step("echo", { run: ({ input }) => input }));

const tokens: string[] = [];
const passesOn = workflow("passes-on", { input: z.unknown() }, (w) => {
  const go = w.signal("go", { payload: z.unknown() });
  const paid = w.callback("paid", { after: [go], output: z.unknown(), run: ({ token }) => void tokens.push(token) });
  const asked = w.step("asked", { after: [paid], run: ({ interrupt }) => interrupt("well?", z.unknown()) });
  const each = w.map("each", {
    after: [asked],
    items: ({ outputs }) => [outputs.asked],
    run: ({ item }) => item,
  });
  const child = w.child("child", { after: [each], workflow: echo, input: ({ outputs }) => outputs.each.get(0) });
  return w.step("end", { after: [child], run: ({ input, outputs }) => ({ input, child: outputs.child }) });
});

describe.each(["in memory", "on SQLite"] as const)("%s", (where) => {
  const logger = createRecordingLogger();
  let engine: Engine;
  let ask: Ask;
  beforeAll(async () => {
    const dataDir = where === "on SQLite" ? await sharedFolder() : undefined;
    engine = await createEngine({ workflows: [passesOn, echo], logger, ...(dataDir === undefined ? {} : { dataDir }) });
    ask = apiOf(engine, logger);
  });
  afterAll(() => engine.stop({ graceMs: 0 }));

  test("payloads of every kind keep such keys, as keys", async () => {
    const until = (step: string): Promise<void> =>
      new Promise((resolve) => {
        const unsubscribe = engine.onUpdate(({ after }) => {
          const at = passesOn.graph.steps.findIndex(({ id }) => id === step);
          if (after.runId !== "p" || after.steps[at]?.status !== "waiting") return;
          unsubscribe();
          resolve();
        });
      });
    let waiting = until("go");
    await ask("POST /workflows/passes-on/runs", `{"runId":"p","input":${nested}}`);
    await waiting;
    waiting = until("paid");
    expect((await ask("POST /runs/p/signals/go", nested)).status).toBe(202);
    await waiting;
    waiting = until("asked");
    expect((await ask(`POST /callbacks/${tokens.at(-1)}/succeed`, nested)).status).toBe(202);
    await waiting;
    const { body: shown } = await ask("GET /runs/p");
    expect((await ask(`POST /runs/p/interrupts/${shown.steps.asked.interrupt.id}`, nested)).status).toBe(202);
    const run = await engine.waitForEnd("p");
    expect(run.status).toBe("succeeded");
    const expected = JSON.stringify(JSON.parse(nested));
    expect(JSON.stringify(run.input)).toBe(expected);
    expect(JSON.stringify(run.output)).toBe(`{"input":${expected},"child":${expected}}`);
    for (const step of ["go", "paid", "asked", "child"]) {
      expect(JSON.stringify(run.steps[step]?.output)).toBe(expected);
    }
  });

  test("a tag of that name is refused by every way in, and not left out", async () => {
    const tags = JSON.parse('{"__proto__":"x","a":"b"}') as Record<string, string>;
    const refused = { code: "invalid_request", message: expect.stringContaining('"__proto__"') };
    const { status, body } = await ask("POST /workflows/echo/runs", '{"tags":{"__proto__":"x","a":"b"}}');
    expect([status, body.error]).toMatchObject([400, refused]);
    await expect(engine.commands.start("echo", { input: 1, tags })).rejects.toMatchObject(refused);
    const direct = { action: "start", workflow: "echo", tags };
    await expect(performDirectCommand(engine, direct)).rejects.toMatchObject(refused);
    const fork = await ask("POST /runs/p/fork", '{"from":"end","tags":{"__proto__":"x"}}');
    expect([fork.status, fork.body.error]).toMatchObject([400, refused]);
    const byHand = await ask("POST /runs/p/redrive", '{"set":{"__proto__":1},"by":"a","reason":"b"}');
    expect([byHand.status, byHand.body.error]).toMatchObject([400, refused]);
  });

  test("a request has no such fields, whatever they hold", async () => {
    for (const key of ["__proto__", "constructor", "prototype"]) {
      const { status, body } = await ask("POST /workflows/echo/runs", `{"input":1,"${key}":{"runId":"stolen"}}`);
      expect([status, body.error.code]).toEqual([400, "invalid_request"]);
      expect((await ask(`GET /runs?${key}=1`)).status).toBe(400);
    }
    expect((await ask("GET /runs/stolen")).status).toBe(404);
  });
});

test("messages and notices take what they know, and nothing by inheritance", () => {
  const base = '"v":1,"runId":"r","workflow":"w","fingerprint":"f","epoch":0,"sentAtMs":0';
  const good = parseMessage(JSON.parse(`{${base},"kind":"nudge","__proto__":{"polluted":1},"constructor":1}`));
  expect(good).toMatchObject({ ok: true });
  expect(Object.keys(good.ok ? good.message : {}).toSorted()).toEqual(
    ["epoch", "fingerprint", "kind", "runId", "sentAtMs", "v", "workflow"].toSorted(),
  );
  for (const hidden of [
    `{"__proto__":{${base},"kind":"nudge"}}`,
    `{"constructor":{"prototype":{${base}}}}`,
    polluting,
  ]) {
    expect(parseMessage(JSON.parse(hidden))).toMatchObject({ ok: false });
    expect(parseNotice(JSON.parse(hidden))).toBeUndefined();
  }
});

test("a stored run with such fields is read as a run, or told to be unreadable", () => {
  for (const fields of [polluting, `{"__proto__":{"v":1,"st":"running"}}`, '{"v":1,"st":"constructor"}']) {
    expect(() => decodeRun("r", JSON.parse(fields))).toThrow(/^Run r cannot be read/);
  }
});

test.each(["memory", "SQLite"])("the store in %s has no record by the name of what objects have", async (kind) => {
  const options = { clock: createManualClock(), logger: createRecordingLogger() };
  const backend =
    kind === "memory"
      ? createMemoryBackend(options)
      : openSqliteBackend({ ...options, file: `${await temporaryFolder()}/pawl.db` });
  for (const id of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    expect(await backend.get(id)).toBeUndefined();
    expect(await backend.getPayloads("constructor", [id])).toEqual(new Map());
    const made = await backend.update(id, { guard: [{ field: "kept", is: "absent" }], set: { kept: 1 } });
    expect(made).toMatchObject({ applied: true });
    expect(await backend.get(id)).toEqual({ kept: 1 });
  }
  await backend.close();
});

test("JSON is compared and written with such keys, in whatever order they come", () => {
  const one = JSON.parse('{"__proto__":{"b":1,"a":2},"constructor":1}') as unknown;
  const other = JSON.parse('{"constructor":1,"__proto__":{"a":2,"b":1}}') as unknown;
  const without = JSON.parse('{"constructor":1}') as unknown;
  expect(canonicalJson(one)).toBe(canonicalJson(other));
  expect(canonicalJson(one)).not.toBe(canonicalJson(without));
  expect(serialize(one, "x")).toEqual({ ok: true, json: JSON.stringify(one) });
});
