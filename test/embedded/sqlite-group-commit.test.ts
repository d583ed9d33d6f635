// Hunts a group of writes that is half applied, or half acknowledged, when SQLite fails in the middle of it (R1).
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { EmbeddedBackend, RunChange } from "../../lib/embedded/backend.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { GroupCommit } from "../../lib/embedded/sqlite-group-commit.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { outgoing } from "./outgoing.ts";
import { scratchDirectory } from "./scratch-directory.ts";

const clock = createManualClock();
let file: string;
let backend: EmbeddedBackend;

beforeEach(async () => {
  file = join(scratchDirectory(), "pawl.db");
  await open().close();
  // The failures come from SQLite itself: triggers that refuse certain rows.
  const raw = new DatabaseSync(file);
  raw.exec(`
    CREATE TRIGGER no_insert BEFORE INSERT ON message WHEN NEW.json LIKE '%poison%' BEGIN SELECT RAISE(ABORT, 'made to fail'); END;
    CREATE TRIGGER no_delete BEFORE DELETE ON message WHEN OLD.json LIKE '%undying%' BEGIN SELECT RAISE(ABORT, 'made to fail'); END;
  `);
  raw.close();
  backend = open();
});
afterEach(() => backend.close());

function open(): EmbeddedBackend {
  return openSqliteBackend({ file, clock, logger: createRecordingLogger() });
}

describe("a group that fails", () => {
  test("rejects all of its operations with the cause and leaves nothing of them", async () => {
    await backend.update("a", { guard: [], set: { n: 1 } });
    const changes: RunChange[] = [];
    backend.onChange((change) => changes.push(change));
    const results = await Promise.allSettled([
      backend.update("a", { guard: [], set: { n: 2 } }),
      backend.update("new", { guard: [], set: { n: 1 } }),
      backend.putPayload("a", "in", "1"),
      backend.send([outgoing("fine"), outgoing("poison")]),
      backend.send([outgoing("alsoFine", 100_000)]),
      backend.update("a", { guard: [], set: { n: 3 } }),
    ]);
    for (const result of results) {
      expect(result).toMatchObject({
        status: "rejected",
        reason: { name: "StorageError", code: "operation_failed", cause: { message: "made to fail" } },
      });
    }
    expect(await backend.load("a")).toEqual({ fields: { n: 1 }, payloads: new Map(), larger: new Map() });
    expect(await backend.get("new")).toBeUndefined();
    expect(await backend.receive(10, 1_000)).toEqual([]);
    expect(backend.nextDueAtMs()).toBeUndefined();
    expect(changes).toEqual([]);

    await backend.close();
    backend = open();
    expect(await backend.get("a")).toEqual({ n: 1 });
    expect(backend.nextDueAtMs()).toBeUndefined();
  });

  test("the next group works again", async () => {
    await expect(backend.send([outgoing("poison")])).rejects.toThrow(file);
    expect(await backend.update("a", { guard: [], set: { n: 1 } })).toMatchObject({ applied: true });
    await backend.send([outgoing("fine")]);
    expect(await backend.receive(10, 1_000)).toHaveLength(1);
  });

  test("a write asked for while a group fails is in the next group", async () => {
    const after = backend.send([outgoing("poison")]).catch(() => backend.update("a", { guard: [], set: { n: 1 } }));
    expect(await after).toMatchObject({ applied: true });
  });

  test("a message that could not be acknowledged, redelivered or buried comes again", async () => {
    await backend.send([outgoing("undying")]);
    const [first] = await backend.receive(1, 1_000);
    await expect(backend.acknowledge(first!.receipt)).rejects.toMatchObject({ code: "operation_failed" });
    expect(await backend.receive(1, 1_000)).toEqual([]);
    await clock.advance(1_000);
    const [second] = await backend.receive(1, 1_000);
    expect(second?.receiveCount).toBe(2);
    await expect(backend.deadLetter(second!.receipt, "x")).rejects.toMatchObject({ code: "operation_failed" });
    expect(await backend.deadLetters(10)).toEqual([]);
    await clock.advance(1_000);
    expect(await backend.receive(1, 1_000)).toHaveLength(1);
  });
});

test("a full disk rejects the group, says so, and works again when there is room", async () => {
  const db = new DatabaseSync(join(scratchDirectory(), "full.db"));
  db.exec("CREATE TABLE t (x TEXT); PRAGMA max_page_count = 4");
  const insert = db.prepare("INSERT INTO t VALUES (?)");
  const group = new GroupCommit("full.db", db, () => undefined);
  const write = (text: string): Promise<unknown> => group.write(() => insert.run(text));
  const results = await Promise.allSettled([write("small"), write("x".repeat(100_000)), write("small")]);
  for (const result of results) expect(result).toMatchObject({ status: "rejected", reason: { code: "disk_full" } });
  expect(db.prepare("SELECT count(*) AS n FROM t").get()).toEqual({ n: 0 });
  db.exec("PRAGMA max_page_count = 1000");
  await write("x".repeat(100_000));
  expect(db.prepare("SELECT count(*) AS n FROM t").get()).toEqual({ n: 1 });
  group.close();
  db.close();
});

test("operations of one turn share one commit, and are done in the order they were asked for", async () => {
  const db = new DatabaseSync(":memory:");
  const order: string[] = [];
  let commits = 0;
  const group = new GroupCommit("memory", db, () => undefined);
  const write = (name: string): Promise<void> =>
    group.write(
      () => void order.push(`work ${name}`),
      () => void order.push(`after ${name}`),
    );
  const chain = async (name: string): Promise<void> => {
    await write(`${name}1`);
    if (name === "a") commits += 1;
    await write(`${name}2`);
  };
  await Promise.all([chain("a"), chain("b")]);
  expect(commits).toBe(1);
  expect(order).toEqual([
    ...["work a1", "work b1", "after a1", "after b1"],
    ...["work a2", "work b2", "after a2", "after b2"],
  ]);
  group.close();
  db.close();
});

test("an operation that throws on its own fails alone, also when it has written already", async () => {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t (x TEXT)");
  const insert = db.prepare("INSERT INTO t VALUES (?)");
  const group = new GroupCommit("memory", db, () => undefined);
  const told: string[] = [];
  const write = (text: string): Promise<unknown> =>
    group.write(
      () => insert.run(text),
      () => void told.push(text),
    );
  const broken = group.write(() => {
    insert.run("half");
    throw new TypeError("a mistake");
  });
  const results = await Promise.allSettled([write("a"), broken, write("b")]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(results[1]).toMatchObject({ reason: { name: "TypeError", message: "a mistake" } });
  expect(db.prepare("SELECT x FROM t").all()).toEqual([{ x: "a" }, { x: "b" }]);
  expect(told).toEqual(["a", "b"]);
  group.close();
  db.close();
});

describe("syncs of the disk", () => {
  const setUp = (sync: () => void): { group: GroupCommit; told: string[]; db: DatabaseSync } => {
    const db = new DatabaseSync(":memory:");
    const told: string[] = [];
    const group = new GroupCommit(
      "memory",
      db,
      () => undefined,
      undefined,
      () => {
        told.push("sync");
        sync();
      },
    );
    return { group, told, db };
  };
  const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

  test("a write is told after the sync, one that is told soon before it, and what follows from both in their order", async () => {
    const { group, told } = setUp(() => undefined);
    const note = (text: string) => (): void => void told.push(text);
    const soon = group.writeSoon(note("work 1"), note("committed 1"), note("safe 1")).then(note("told 1"));
    await soon;
    await group.write(note("work 2"), note("safe 2")).then(note("told 2"));
    expect(told).toEqual(["work 1", "committed 1", "told 1", "work 2", "sync", "safe 1", "safe 2", "told 2"]);
    group.close();
    expect(told.filter((what) => what === "sync")).toHaveLength(1);
  });

  test("writes of several turns share the sync of the last; when nothing more is asked for, it comes by itself", async () => {
    const { group, told } = setUp(() => undefined);
    for (let count = 0; count < 5; count++) await group.writeSoon(() => undefined);
    expect(told).toEqual([]);
    await turn();
    await turn();
    expect(told).toEqual(["sync"]);
    await turn();
    await turn();
    expect(told).toEqual(["sync"]);
    group.close();
  });

  test("what is read is safe before it is told, and a glance at what was written before is not waited for", async () => {
    const { group, told } = setUp(() => undefined);
    await group.writeSoon(() => undefined);
    expect(await group.peek(() => told.length)).toBe(0);
    expect(await group.read(() => "read")).toBe("read");
    expect(told).toEqual(["sync"]);
    group.close();
  });

  test("one that fails rejects all that wait for it, and everything from then on", async () => {
    const { group, told, db } = setUp(() => {
      throw new Error("EIO: i/o error, fdatasync");
    });
    const published: string[] = [];
    const publish = (): void => void published.push("published");
    await group.writeSoon(() => undefined, undefined, publish);
    const results = await Promise.allSettled([
      group.write(() => 1, publish),
      group.writeSoon(() => 2),
      group.write(() => 3, publish),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected"]);
    const refusal = { name: "StorageError", code: "file_unusable" };
    expect(results[0]).toMatchObject({ reason: refusal });
    for (const ask of [
      () => group.write(() => 4, publish),
      () => group.writeSoon(() => 5),
      () => group.read(() => 6),
      () => group.peek(() => 7),
    ]) {
      await expect(ask()).rejects.toMatchObject(refusal);
      await expect(ask()).rejects.toThrow(/did not confirm.*memory.*EIO.*Look after the disk/);
    }
    await turn();
    group.close();
    expect(published).toEqual([]);
    // Another would be told that all is well.
    expect(told).toEqual(["sync"]);
    db.close();
  });

  test("one that fails under a read, or when nobody waits, refuses what was asked for meanwhile", async () => {
    const { group } = setUp(() => {
      throw new Error("EIO");
    });
    await group.writeSoon(() => undefined);
    const waiting = group.write(() => 1);
    await expect(group.read(() => 2)).rejects.toMatchObject({ code: "file_unusable" });
    await expect(waiting).rejects.toMatchObject({ code: "file_unusable" });
    group.close();
  });
});
