// Hunts a data file that loses something when it is opened again, is shared by two processes, or is opened although it
// is damaged, foreign or too new.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import type { EmbeddedBackend } from "../../lib/embedded/backend.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { openSqliteFile } from "../../lib/embedded/sqlite-file.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import type { Message } from "../../lib/engine/message.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { runOf } from "../engine/sample-run.ts";
import { asVersion1 } from "./former-files.ts";
import { outgoing } from "./outgoing.ts";
import { scratchDirectory } from "./scratch-directory.ts";

const clock = createManualClock();
const open = (file: string): EmbeddedBackend => openSqliteBackend({ file, clock, logger: createRecordingLogger() });
const newFile = (): string => join(scratchDirectory(), "pawl.db");

describe("opening again", () => {
  test("makes the lists of a file that was written before it had any, once", async () => {
    const file = newFile();
    const first = open(file);
    await first.update("a", { guard: [], set: { st: "running" } });
    await first.update("b", { guard: [], set: { ...encodeRun(runOf({ runId: "b", status: "failed" })) } });
    await first.close();
    asVersion1(file);
    const second = open(file);
    await second.update("c", { guard: [], set: { st: "paused" } });
    expect(await second.openRuns.page(undefined)).toEqual({ runIds: ["a", "c"], cursor: undefined });
    const { runs } = await second.runIndex.list({ filter: { statuses: ["failed"] }, limit: 10 });
    expect(runs.map(({ runId }) => runId)).toEqual(["b"]);
    await second.close();
    const third = open(file);
    const days = { from: "2000-01-01", to: "3000-01-01" };
    expect(await third.runIndex.counts(days)).toMatchObject([{ workflow: "sample", counts: { failed: 1 } }]);
    await third.close();
  });

  test("keeps runs, payloads, graphs, messages and dead letters", async () => {
    const file = newFile();
    const first = open(file);
    await first.update("a", { guard: [], set: { status: "running", n: 0, text: "ö" } });
    await first.putPayload("a", "in", `{"x":1}`);
    await first.putGraph("order", "f1", `{"steps":[]}`);
    await first.send([outgoing("bad")]);
    const [bad] = await first.receive(1, 1_000);
    await first.deadLetter(bad!.receipt, "no good");
    await first.send([outgoing("now"), outgoing("soon", 5_000), outgoing("later", 3_600_000)]);
    await first.close();

    const second = open(file);
    await second.recover();
    expect(await second.load("a")).toEqual({
      fields: { status: "running", n: 0, text: "ö" },
      payloads: new Map([["in", `{"x":1}`]]),
      larger: new Map(),
    });
    expect(await second.getGraph("order", "f1")).toBe(`{"steps":[]}`);
    expect(await second.deadLetters(10)).toMatchObject([{ reason: "no good", body: { runId: "bad" } }]);
    const received: string[] = [];
    for (const ms of [0, 5_000, 3_595_000]) {
      await clock.advance(ms);
      received.push(...(await second.receive(10, 36_000_000)).map(({ body }) => (body as Message).runId));
    }
    expect(received).toEqual(["now", "soon", "later"]);
    await second.close();
  });

  test("brings back at once what was in flight, with its failures, and nothing that was acknowledged", async () => {
    const file = newFile();
    const first = open(file);
    await first.send([outgoing("done"), outgoing("inFlight"), outgoing("failed")]);
    const [done, , failed] = await first.receive(3, 36_000_000);
    await first.acknowledge(done!.receipt);
    await first.redeliver(failed!.receipt, 0, "failed");
    await first.receive(1, 36_000_000);
    await first.close();

    const second = open(file);
    await second.recover();
    const received = await second.receive(10, 1_000);
    expect(received.map(({ body, failures }) => [(body as Message).runId, failures])).toEqual([
      ["inFlight", 0],
      ["failed", 1],
    ]);
    expect(received[1]!.receiveCount).toBe(2);
    await second.close();
  });

  test("a message that was parked and became due is still there", async () => {
    const file = newFile();
    const first = open(file);
    await first.send([outgoing("a", 100_000)]);
    await clock.advance(100_000);
    expect(await first.receive(1, 36_000_000)).toHaveLength(1);
    await first.close();
    const second = open(file);
    expect(await second.receive(1, 1_000)).toHaveLength(1);
    await second.close();
  });

  test("a stored body that is no JSON is delivered as text, for the worker to refuse", async () => {
    const file = newFile();
    const first = open(file);
    await first.send([outgoing("a"), outgoing("b", 1)]);
    await first.close();
    const raw = new DatabaseSync(file);
    raw.exec(`UPDATE message SET json = '{"cut of' WHERE id = 1`);
    raw.close();
    const second = open(file);
    await clock.advance(1);
    expect((await second.receive(10, 1_000)).map(({ body }) => body)).toEqual([`{"cut of`, outgoing("b").message]);
    await second.close();
  });

  test("the settings that make a commit survive a power cut are on", () => {
    const db = openSqliteFile(newFile());
    expect(db.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(db.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
    db.close();
  });
});

describe("a file that cannot be used", () => {
  test("missing folders are created", async () => {
    const file = join(scratchDirectory(), "a", "b", "pawl.db");
    await open(file).close();
    expect(existsSync(file)).toBe(true);
  });

  test("a second opener in the same process is refused, and the first goes on", async () => {
    const file = newFile();
    const first = open(file);
    expect(() => open(file)).toThrow(expect.objectContaining({ name: "StorageError", code: "file_in_use" }));
    expect(await first.update("a", { guard: [], set: { n: 1 } })).toMatchObject({ applied: true });
    await first.close();
    await open(file).close();
  });

  test("a second process is refused at open, told the file, the reason and the remedy", async () => {
    const file = newFile();
    const first = open(file);
    const child = spawn(process.execPath, [new URL("open-file.child.ts", import.meta.url).pathname, file], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    await once(child, "close");
    const error = JSON.parse(said) as { code: string; message: string };
    expect(error.code).toBe("file_in_use");
    expect(error.message).toContain(file);
    expect(error.message).toMatch(
      /another Pawl process has it open.*stop the other one, or give this one another data/,
    );
    await first.close();
  });

  test.each([
    ["text", "this is not a database at all, only a text that is long enough to be looked at ".repeat(20)],
    ["zeros", Buffer.alloc(8_192)],
  ])("%s instead of a database", (_what, content) => {
    const file = newFile();
    writeFileSync(file, content);
    expect(() => open(file)).toThrow(expect.objectContaining({ code: "file_damaged" }));
    expect(() => open(file)).toThrow(new RegExp(`${file}.*Restore it from a backup`));
    expect(readFileSync(file).equals(Buffer.from(content as string))).toBe(true);
  });

  test.each([
    ["everywhere, it is found", 4_096],
    ["where payloads are, it is found", 100_000],
  ])("damage %s when it is read, and named", async (_where, fromByte) => {
    const file = newFile();
    const first = open(file);
    await first.update("a", { guard: [], set: { n: 1 } });
    for (let n = 0; n < 100; n += 1) await first.putPayload("a", String(n), "x".repeat(3_000));
    await first.close();
    const bytes = readFileSync(file);
    bytes.fill(0xff, fromByte);
    writeFileSync(file, bytes);
    const attempt = async (): Promise<unknown> => {
      const second = open(file);
      return second.load("a").finally(() => second.close());
    };
    await expect(attempt()).rejects.toMatchObject({ name: "StorageError", code: "file_damaged" });
    await expect(attempt()).rejects.toThrow(file);
  });

  test("the database of another application is left alone", () => {
    const file = newFile();
    const foreign = new DatabaseSync(file);
    foreign.exec("CREATE TABLE songs (title TEXT)");
    foreign.close();
    const before = readFileSync(file);
    expect(() => open(file)).toThrow(expect.objectContaining({ code: "file_foreign" }));
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test("a file of a newer version is left alone", async () => {
    const file = newFile();
    await open(file).close();
    const newer = new DatabaseSync(file);
    newer.exec("PRAGMA user_version = 99");
    newer.close();
    expect(() => open(file)).toThrow(expect.objectContaining({ code: "file_too_new" }));
    expect(() => open(file)).toThrow(/version 99.*knows versions up to 3/);
  });

  test("a folder instead of a file, and a file instead of a folder", () => {
    const directory = scratchDirectory();
    expect(() => open(directory)).toThrow(expect.objectContaining({ code: "file_unusable" }));
    writeFileSync(join(directory, "plain"), "");
    expect(() => open(join(directory, "plain", "pawl.db"))).toThrow(expect.objectContaining({ code: "file_unusable" }));
  });

  test.skipIf(process.getuid?.() === 0)("a file that may not be written", async () => {
    const file = newFile();
    await open(file).close();
    chmodSync(file, 0o400);
    expect(() => open(file)).toThrow(expect.objectContaining({ code: "file_unusable" }));
  });
});
