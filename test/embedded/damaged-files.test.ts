// Hunts damage that is met in silence: a file that is cut off, overwritten or half there must be told at opening or at use,
// with the file and the remedy, and harm no run but those that it has hit.
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import type { EmbeddedBackend } from "../../lib/embedded/backend.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { StorageError } from "../../lib/embedded/storage-error.ts";
import { harness, temporaryFolder, virtualClock } from "../behaviour/harness.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { scratchDirectory } from "./scratch-directory.ts";

const open = (file: string): EmbeddedBackend =>
  openSqliteBackend({ file, clock: createManualClock(), logger: createRecordingLogger() });

const runs = 60;
const payload = "x".repeat(3_000);
const pageBytes = 4_096;

/** Closed in order: everything is in the one file. */
async function closedFile(): Promise<string> {
  const file = join(scratchDirectory(), "pawl.db");
  const backend = open(file);
  for (let n = 0; n < runs; n++) {
    await backend.update(`run-${n}`, { guard: [], set: { n } });
    await backend.putPayload(`run-${n}`, "in", JSON.stringify(`${n}${payload}`));
  }
  await backend.close();
  return file;
}

/** What each run reads as: whole, or the error; `lost` is what must not be. */
async function readAll(file: string): Promise<readonly ("whole" | "lost" | StorageError)[]> {
  let backend: EmbeddedBackend;
  try {
    backend = open(file);
  } catch (error) {
    if (error instanceof StorageError) return [error];
    throw error;
  }
  const read = async (n: number): Promise<"whole" | "lost" | StorageError> => {
    try {
      const loaded = await backend.load(`run-${n}`);
      return loaded?.fields.n === n && loaded.payloads.get("in") === JSON.stringify(`${n}${payload}`)
        ? "whole"
        : "lost";
    } catch (error) {
      if (error instanceof StorageError) return error;
      throw error;
    }
  };
  try {
    return await Promise.all(Array.from({ length: runs }, (_, n) => read(n)));
  } finally {
    await backend.close();
  }
}

function harmed(file: string, harm: (bytes: Buffer) => Buffer): void {
  writeFileSync(file, harm(readFileSync(file)));
}

const harms: readonly (readonly [what: string, harm: (bytes: Buffer) => Buffer])[] = [
  ["cut off in the middle", (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2))],
  ["cut off within its first page", (bytes) => bytes.subarray(0, 1_000)],
  ["cut off by one byte", (bytes) => bytes.subarray(0, -1)],
  ["a header of garbage", (bytes) => bytes.fill(0x5a, 0, 100)],
];

test.each(harms)("%s: told at opening, or by every read that meets it", async (_what, harm) => {
  const file = await closedFile();
  harmed(file, harm);
  const found = await readAll(file);
  const errors = found.filter((one) => one instanceof StorageError);
  expect(found).not.toContain("lost");
  expect(errors.length).toBeGreaterThan(0);
  for (const error of errors) {
    expect(error.code).toBe("file_damaged");
    expect(error.message).toMatch(new RegExp(`${file} is damaged.*Restore it from a backup`));
  }
});

test.each([
  ["zeros", 0x00],
  ["garbage", 0xa5],
])(
  "a page of %s, any one of them: no run reads as another, or as if it had never been, without an error",
  async (_what, byte) => {
    const original = await closedFile();
    const { length } = readFileSync(original);
    let errors = 0;
    let whole = 0;
    for (let page = 1; page < length / pageBytes; page += 3) {
      const file = join(dirname(original), `page-${page}.db`);
      copyFileSync(original, file);
      harmed(file, (bytes) => bytes.fill(byte, page * pageBytes, (page + 1) * pageBytes));
      const found = await readAll(file);
      if (found.some((one) => one instanceof StorageError)) errors++;
      whole += found.filter((one) => one === "whole").length;
      expect({ page, lost: found.includes("lost") && !found.some((one) => one instanceof StorageError) }).toEqual({
        page,
        lost: false,
      });
    }
    expect(errors).toBeGreaterThan(5);
    // Most pages are those of a few runs.
    expect(whole).toBeGreaterThan(runs * 5);
  },
);

describe("a process that died, and then its write-ahead log", () => {
  /** As after `kill -9`: much is in the log only. The runs were written in their order. */
  async function killedFile(): Promise<string> {
    const file = join(scratchDirectory(), "pawl.db");
    const backend = open(file);
    for (let n = 0; n < runs; n++) await backend.update("run", { guard: [], set: { n, [`field${n}`]: n } });
    const copy = join(scratchDirectory(), "pawl.db");
    copyFileSync(file, copy);
    copyFileSync(`${file}-wal`, `${copy}-wal`);
    await backend.close();
    return copy;
  }

  /** The last write that is there; all before it must be there, too. */
  async function lastOf(file: string): Promise<number> {
    const backend = open(file);
    const fields = (await backend.get("run")) ?? {};
    const last = Number(fields.n ?? -1);
    for (let n = 0; n <= last; n++) expect(fields[`field${n}`]).toBe(n);
    await backend.close();
    const db = new DatabaseSync(file);
    expect(Object.values(db.prepare("PRAGMA integrity_check").get() ?? {})).toEqual(["ok"]);
    db.close();
    return last;
  }

  test("whole: everything is there", async () => {
    expect(await lastOf(await killedFile())).toBe(runs - 1);
  });

  test("half written: the last commits that were never whole are missing, and none before them", async () => {
    const original = await killedFile();
    const { length } = readFileSync(`${original}-wal`);
    const ends: number[] = [];
    for (let part = 1; part <= 8; part++) {
      const file = join(dirname(original), `part-${part}.db`);
      copyFileSync(original, file);
      copyFileSync(`${original}-wal`, `${file}-wal`);
      truncateSync(`${file}-wal`, Math.floor((length * part) / 8) - 7 * (8 - part));
      ends.push(await lastOf(file));
    }
    expect(ends).toEqual(ends.toSorted((one, other) => one - other));
    expect(ends.at(-1)).toBe(runs - 1);
    expect(new Set(ends).size).toBeGreaterThan(4);
  });

  test("overwritten in the middle: what comes before it is there, in order", async () => {
    const file = await killedFile();
    harmed(`${file}-wal`, (bytes) => bytes.fill(0xa5, bytes.length / 2, bytes.length / 2 + 64));
    const last = await lastOf(file);
    expect(last).toBeGreaterThan(5);
    expect(last).toBeLessThan(runs - 5);
  });
});

describe("a large payload whose file was changed", () => {
  const big = workflow("big", { input: z.int() }, (w) => {
    const make = w.step("make", { run: ({ input }) => String(input).repeat(limits.itemPayloadBytes + 1) });
    const go = w.signal("go", { after: [make] });
    // What cannot be read uses attempts up.
    const retry = { maxAttempts: 50 };
    return w.step("read", { after: [make, go], retry, run: ({ outputs }) => outputs.make.length });
  });

  test.each<[what: string, said: RegExp, harm: (file: string) => void]>([
    ["cut off", /is damaged/, (file) => truncateSync(file, 1_000)],
    ["overwritten", /is damaged/, (file) => harmed(file, (bytes) => bytes.fill(0x39, 500, 501))],
    ["removed", /is missing/, (file) => rmSync(file)],
  ])("%s: its run fails with the cause and the remedy, the others go on", async (_what, said, harm) => {
    const dataDir = await temporaryFolder();
    const clock = virtualClock();
    const { engine, pass, show } = await harness([big], { dataDir, clock });
    const files = (): string[] =>
      readdirSync(join(dataDir, "blobs"), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name));
    await engine.start(big, { runId: "hit", input: 1 });
    await pass(1_000);
    const [file = ""] = files();
    expect(existsSync(file)).toBe(true);
    await engine.start(big, { runId: "other", input: 2 });
    await pass(1_000);
    harm(file);
    await expect(engine.commands.output("hit", "make")).rejects.toThrow(/Restore the blobs from the backup/);
    for (const runId of ["hit", "other"]) await engine.commands.signal(runId, "go", undefined);
    await pass(3_600_000);
    expect(await show("other")).toMatchObject({ status: "succeeded", output: limits.itemPayloadBytes + 1 });
    const hit = await show("hit");
    expect(hit).toMatchObject({ status: "failed", error: { name: "LostPayload", step: "read" } });
    expect(hit.error?.message).toMatch(said);
  });
});
