// Hunts lists and counts that drift from the runs of their file: after a rollback, a removal, a crash, or in an older
// file; and a list that reads all runs to find a few.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EmbeddedBackend } from "../../lib/embedded/backend.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { openSqliteFile } from "../../lib/embedded/sqlite-file.ts";
import { RunIndexRows, runIndexSchema } from "../../lib/embedded/sqlite-run-index.ts";
import { reads } from "../../lib/embedded/sqlite-run-lists.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { runStatuses } from "../../lib/engine/run-state.ts";
import type { Fields } from "../../lib/engine/transition.ts";
import { createQueries } from "../../lib/runtime/queries.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { runOf } from "../engine/sample-run.ts";
import { asVersion1 } from "./former-files.ts";
import { scratchDirectory } from "./scratch-directory.ts";

const clock = createManualClock();
const logger = createRecordingLogger();
const open = (file: string): EmbeddedBackend => openSqliteBackend({ file, clock, logger });
const newFile = (): string => join(scratchDirectory(), "pawl.db");
const days = { from: "2000-01-01", to: "3000-01-01" };

const tables = ["run_open", "run_index", "run_entry", "run_count", "run_failure"];

/** Everything that the index keeps and that must follow from the runs: not which failure was the first or the last. */
function dump(db: DatabaseSync): Record<string, unknown[]> {
  const columns = (table: string): string =>
    table === "run_failure" ? "fingerprint, count, workflow, step, name" : "*";
  return Object.fromEntries(tables.map((table) => [table, db.prepare(`SELECT ${columns(table)} FROM ${table}`).all()]));
}

function emptyIndex(): { readonly db: DatabaseSync; readonly rows: RunIndexRows } {
  const db = new DatabaseSync(":memory:");
  db.exec(runIndexSchema);
  return { db, rows: new RunIndexRows(db) };
}

const runInAnyStatus = fc.record({
  status: fc.constantFrom(...runStatuses),
  endedAtMs: fc.nat(2_000_000_000_000),
  tags: fc.constantFrom({}, { k: "v" }, { k: "v", l: "w" }),
  error: fc.constantFrom({ name: "E", message: "m", fingerprint: "f" }, { name: "E", message: "m" }),
});

/** What a run has been, and is; never in two workflows, or created at two times. Some of it no version can read. */
const life: fc.Arbitrary<readonly Fields[]> = fc
  .record({
    runId: fc.constantFrom("a", "a~s"),
    workflow: fc.constantFrom("orders", "mails"),
    createdAtMs: fc.constantFrom(0, 1_800_000_000_000, 9e15, -1),
    isItem: fc.boolean(),
  })
  .chain(({ isItem, ...own }) => {
    const link = { workflow: "orders", step: 0, taskQueue: "default", epoch: 0, attempt: 1 };
    const fingerprint = `0123456789abcdef${isItem ? ".0.0.20.0.0" : ""}`;
    const parent = own.runId.includes("~") ? { parent: { ...link, fingerprint } } : {};
    const readable = runInAnyStatus.map((run): Fields => encodeRun(runOf({ ...own, ...parent, ...run })));
    const some = fc.oneof(
      { weight: 8, arbitrary: readable },
      { weight: 1, arbitrary: readable.map((fields): Fields => ({ ...fields, s0: "nonsense" })) },
      { weight: 1, arbitrary: fc.constantFrom<Fields>({ st: "running" }, { st: "odd", v: 1 }, { n: 1 }, { st: 7 }) },
    );
    return fc.array(some, { minLength: 1, maxLength: 7 });
  });

describe("the rows", () => {
  test("are what follows from the run as it is, whatever it was before", () => {
    fc.assert(
      fc.property(life, (images) => {
        const [one, other] = [emptyIndex(), emptyIndex()];
        let last: Fields | undefined;
        for (const image of images) {
          one.rows.change("x", last, image);
          // A write that leaves the status alone leaves all alone that the index tells.
          if (image.st !== last?.st) last = image;
        }
        one.rows.complete();
        other.rows.change("x", undefined, last);
        other.rows.complete();
        expect(dump(one.db)).toEqual(dump(other.db));
      }),
      { numRuns: 300 },
    );
  });

  test("are gone with the last run", () => {
    fc.assert(
      fc.property(fc.array(life, { maxLength: 5 }), (lives) => {
        const { db, rows } = emptyIndex();
        for (const [at, images] of lives.entries()) {
          let last: Fields | undefined;
          for (const image of images) {
            rows.replace(`x${at}`, last, image);
            last = image;
          }
          rows.replace(`x${at}`, last, undefined);
        }
        rows.complete();
        expect(dump(db)).toEqual(Object.fromEntries(tables.map((table) => [table, []])));
      }),
      { numRuns: 200 },
    );
  });
});

/** Runs in each status, with tags, children and failures. */
async function fill(backend: EmbeddedBackend): Promise<void> {
  const starts = Array.from({ length: 40 }, (_, at) => {
    const status = runStatuses[at % runStatuses.length] ?? "running";
    const isChild = at % 4 === 3;
    const parent = { workflow: "orders", fingerprint: "0123", step: 0, taskQueue: "default", epoch: 0, attempt: 1 };
    const run = runOf({
      runId: isChild ? `run${at - 1}~s` : `run${at}`,
      workflow: at % 3 === 0 ? "orders" : "mails",
      status,
      createdAtMs: clock.now() + Math.floor(at / 3),
      tags: { team: at % 2 === 0 ? "a" : "b" },
      ...(isChild ? { parent } : {}),
      ...(status === "failed" ? { error: { name: "E", message: "no", fingerprint: `f${at % 2}` } } : {}),
      ...(["running", "paused", "unwinding"].includes(status) ? {} : { endedAtMs: clock.now() + 1_000 * at }),
    });
    return backend.update(run.runId, { guard: [], set: encodeRun(run) });
  });
  await Promise.all(starts);
}

function dumpFile(file: string): Record<string, unknown[]> {
  const db = new DatabaseSync(file);
  const all = dump(db);
  db.close();
  return all;
}

test("a file of a version without lists gets the same ones, once", async () => {
  const file = newFile();
  const first = open(file);
  await fill(first);
  await first.update("gate#orders#", { guard: [], set: { v: 1, t: 1 } });
  await first.close();
  const kept = dumpFile(file);
  asVersion1(file);
  await open(file).close();
  expect(dumpFile(file)).toEqual(kept);
  await open(file).close();
  expect(dumpFile(file)).toEqual(kept);
});

test("a write that is rolled back is not counted, and the next one is", async () => {
  const file = newFile();
  await open(file).close();
  const raw = new DatabaseSync(file);
  raw.exec(`CREATE TRIGGER no_insert BEFORE INSERT ON graph BEGIN SELECT RAISE(ABORT, 'made to fail'); END`);
  raw.close();
  const backend = open(file);
  const start = (runId: string): Promise<unknown> =>
    backend.update(runId, { guard: [], set: encodeRun(runOf({ runId, tags: { k: "v" } })) });
  await start("kept");
  const refused = await Promise.allSettled([start("lost"), backend.putGraph("orders", "f", "{}"), start("lost too")]);
  expect(refused.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  const found = async (): Promise<unknown> => {
    const { runs } = await backend.runIndex.list({ filter: { tag: { key: "k", value: "v" } }, limit: 10 });
    const [row] = await backend.runIndex.counts(days);
    return [runs.map(({ runId }) => runId), row?.counts.running, await backend.openRuns.page(undefined)];
  };
  expect(await found()).toEqual([["kept"], 1, { runIds: ["kept"], cursor: undefined }]);
  await start("more");
  expect(await found()).toEqual([["more", "kept"], 2, { runIds: ["kept", "more"], cursor: undefined }]);
  await backend.close();
});

test("an operation that throws on its own is taken out of its group's counts", async () => {
  const backend = open(newFile());
  const results = await Promise.allSettled([
    backend.update("a", { guard: [], set: encodeRun(runOf({ runId: "a" })) }),
    backend.update("b", { guard: [], set: { ...encodeRun(runOf({ runId: "b" })), a: Number.NaN } }),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  expect((await backend.runIndex.counts(days)).map(({ counts }) => counts)).toEqual([{ running: 1 }]);
  await backend.close();
});

test("kill -9 in the middle of writes: the lists are those of the runs that are there", {
  timeout: 60_000,
}, async () => {
  const file = newFile();
  for (let round = 1; round <= 3; round += 1) {
    const script = new URL("turn-until-killed.child.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [script, file, String(round)], { stdio: ["ignore", "pipe", "inherit"] });
    let said = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.length;
      if (said > 200) child.kill("SIGKILL");
    });
    expect(await once(child, "close")).toEqual([null, "SIGKILL"]);
    await open(file).close();
    const kept = dumpFile(file);
    expect(kept.run_index).not.toHaveLength(0);
    asVersion1(file);
    await open(file).close();
    expect(dumpFile(file)).toEqual(kept);
  }
});

test("a run that cannot be read is open, is in no list, and fails neither a write nor a page", async () => {
  const file = newFile();
  const first = open(file);
  await first.update("odd", { guard: [], set: { st: "running", v: 99 } });
  for (const runId of ["a", "b"]) await first.update(runId, { guard: [], set: encodeRun(runOf({ runId })) });
  expect(await first.openRuns.page(undefined)).toEqual({ runIds: ["a", "b", "odd"], cursor: undefined });
  await first.close();
  const db = new DatabaseSync(file);
  db.exec(`UPDATE run SET fields = json_set(fields, '$.s0', 'nonsense') WHERE id = 'b'`);
  db.close();
  const second = open(file);
  const lines = createRecordingLogger();
  const { runs } = await createQueries({ index: second.runIndex, clock, logger: lines }).list();
  expect(runs.map(({ runId }) => runId)).toEqual(["a"]);
  expect(lines.lines).toMatchObject([{ level: "warn", fields: { runId: "b", error: { name: "StoredRunError" } } }]);
  await second.close();
});

test.each(Object.entries(reads))("%s: seeks its place in an index, and sorts nothing", (name, sql) => {
  const db = openSqliteFile(newFile());
  const plan = db
    .prepare(`EXPLAIN QUERY PLAN ${sql}`)
    .all()
    .map(({ detail }) => detail as string);
  db.close();
  expect(plan).not.toHaveLength(0);
  // Groups of failures are read from the last on; LIMIT ends that.
  const scan = name === "failures" ? /^SCAN run_failure USING INDEX run_failure_last$/ : /^$/;
  for (const detail of plan) {
    const isSeek = /^SEARCH \w+ USING (COVERING INDEX|INDEX|PRIMARY KEY)/.test(detail);
    const isPart = /^(CORRELATED )?SCALAR SUBQUERY \d+$/.test(detail) || scan.test(detail);
    expect.soft([detail, isSeek || isPart]).toEqual([detail, true]);
  }
});
