// Hunts: a cursor that was tampered with, moved to another list or brought from another server, and is taken all the same.
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEngine, type Engine, workflow } from "../../lib/index.ts";
import { temporaryFolder } from "../behaviour/harness.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { type Answered, apiOf } from "./api-of.ts";

const done = workflow("done", {}, (w) => w.step("only", { run: () => 1 }));

const logger = createRecordingLogger();

interface Page {
  readonly runs: readonly { readonly runId: string }[];
  readonly cursor?: string;
}

type AskPage = (query: Readonly<Record<string, string>>) => Promise<Answered>;

async function withRuns(count: number, dataDir?: string): Promise<{ readonly engine: Engine; readonly ask: AskPage }> {
  const engine = await createEngine({
    workflows: [done],
    logger,
    ...(dataDir === undefined ? {} : { dataDir }),
  });
  for (let i = 0; i < count; i++) await engine.start(done, { runId: `run-${i}`, tags: { customer: `c-${i % 2}` } });
  const send = apiOf(engine, logger);
  return { engine, ask: (criteria) => send(`GET /runs?${new URLSearchParams(criteria).toString()}`) };
}

let engine: Engine;
let ask: AskPage;
let cursor: string;
const query = { workflow: "done", limit: "2" };

beforeAll(async () => {
  ({ engine, ask } = await withRuns(6));
  const { body } = await ask(query);
  cursor = (body as Page).cursor ?? "";
});
afterAll(() => engine.stop({ graceMs: 0 }));

async function expectRefused(given: string, criteria: Readonly<Record<string, string>> = query): Promise<void> {
  const { status, body } = await ask({ ...criteria, cursor: given });
  expect([status, body], given.slice(0, 100)).toMatchObject([400, { error: { code: "invalid_cursor" } }]);
}

test("goes on where it was handed out, as often as it is asked", async () => {
  for (let time = 0; time < 3; time++) {
    const { status, body } = await ask({ ...query, cursor });
    expect([status, (body as Page).runs.length]).toEqual([200, 2]);
  }
});

test("with any of its bits turned, or cut anywhere, it is refused", async () => {
  const bytes = Buffer.from(cursor, "base64url");
  expect(bytes.length).toBeGreaterThan(16);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const turned = Buffer.from(bytes);
    turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await expectRefused(turned.toString("base64url"));
  }
  for (let end = 0; end < bytes.length; end++) await expectRefused(bytes.subarray(0, end).toString("base64url"));
  await expectRefused(`${cursor}A`);
  await expectRefused(Buffer.concat([bytes, bytes]).toString("base64url"));
});

test("what a store would take is refused without the signature", async () => {
  const position = Buffer.from(cursor, "base64url").subarray(16);
  const unsigned = [position.toString("base64url"), position.toString(), Buffer.concat([Buffer.alloc(16), position])];
  for (const given of unsigned) await expectRefused(typeof given === "string" ? given : given.toString("base64url"));
  await expectRefused(bytesInOtherLetters(cursor));
});

test("it belongs to its own list", async () => {
  const others: readonly Readonly<Record<string, string>>[] = [
    { limit: "2" },
    { ...query, status: "succeeded" },
    { ...query, tag: "customer:c-1" },
    { ...query, from: "2020-01-01" },
    { workflow: "other", limit: "2" },
  ];
  for (const criteria of others) await expectRefused(cursor, criteria);
});

test("it belongs to its own server, and outlives the server's process", async () => {
  const dataDir = await temporaryFolder();
  const first = await withRuns(6, dataDir);
  const handedOut = ((await first.ask(query)).body as Page).cursor ?? "";
  await expectRefused(handedOut);
  const expected = await first.ask({ ...query, cursor: handedOut });
  expect(expected.status).toBe(200);
  await first.engine.stop({ graceMs: 0 });
  const second = await withRuns(0, dataDir);
  expect(await second.ask({ ...query, cursor: handedOut })).toEqual(expected);
  const foreign = await second.ask({ ...query, cursor });
  expect(foreign).toMatchObject({ status: 400, body: { error: { code: "invalid_cursor" } } });
  await second.engine.stop({ graceMs: 0 });
});

test("the key it is signed with is in no answer and no log", async () => {
  const key = await engine.cursorKey();
  expect(Buffer.from(key, "base64url").length).toBeGreaterThanOrEqual(32);
  const said = [(await ask(query)).body, (await ask({ ...query, cursor: "x" })).body, logger.lines];
  expect(JSON.stringify(said)).not.toContain(key);
});

/** The last letter of Base64 has bits that mean nothing. */
function bytesInOtherLetters(text: string): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = letters.indexOf(text.slice(-1));
  const other = `${text.slice(0, -1)}${letters[last ^ 1]}`;
  const isSame = Buffer.from(other, "base64url").equals(Buffer.from(text, "base64url"));
  return isSame ? other : `${text}=`;
}
