// Hunts: sums that a crash, a failed commit or a removal leaves wrong: counts of writes that never were, writes that were
// not counted, rows of runs that are gone, and sums of one run that have those of another in them.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import type { EmbeddedBackend } from "../../lib/embedded/backend.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { field } from "../../lib/engine/codec.ts";
import type { Transition } from "../../lib/engine/transition.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { scratchDirectory } from "./scratch-directory.ts";

const start: Transition = {
  guard: [{ field: field.status, is: "absent" }],
  set: { [field.status]: "running", x: 0 },
};
const write: Transition = { guard: [], set: {}, add: { x: 1 } };
const clock = createManualClock();
const logger = createRecordingLogger();

function opened(backend: EmbeddedBackend): EmbeddedBackend {
  onTestFinished(() => backend.close());
  return backend;
}

const openFile = (file: string): EmbeddedBackend => opened(openSqliteBackend({ file, clock, logger }));

/** Counts writes. */
function keepWrites({ runTallies }: EmbeddedBackend): void {
  runTallies.keep((runId) => runTallies.add(runId, { writes: 1 }));
}

const variants: [string, () => EmbeddedBackend][] = [
  ["memory", () => opened(createMemoryBackend({ clock, logger }))],
  ["file", () => openFile(join(scratchDirectory(), "pawl.db"))],
];

for (const [name, open] of variants) {
  test(`${name}: sums of a run have those of all that it has started in them, and of nobody else`, async () => {
    const backend = open();
    keepWrites(backend);
    const ids = ["r", "r~a", "r~a.r1", "r~m", "r~m.0", "r~m.0.3", "r~m.1", "r~m~x", "r.1", "r-1", "r1", "s~a"];
    for (const id of ids) await backend.update(id, start);
    const runsOf = async (id: string): Promise<number | undefined> => (await backend.runTallies.of(id))?.runs;
    expect(await runsOf("r")).toBe(8);
    expect(await runsOf("r~a")).toBe(1);
    expect(await runsOf("r~m")).toBe(5);
    expect(await runsOf("r~m.0")).toBe(2);
    expect(await runsOf("r.1")).toBe(1);
    expect(await runsOf("unknown")).toBeUndefined();
    expect(await backend.runTallies.of("r")).toEqual({ amounts: { writes: 8 }, runs: 8, isWhole: true });
  });

  test(`${name}: what is added before the run begins counts, and what is added after it is gone does not`, async () => {
    const backend = open();
    keepWrites(backend);
    backend.runTallies.add("r", { sent: 2 });
    await backend.update("other", start);
    await backend.update("r", start);
    expect((await backend.runTallies.of("r"))?.amounts).toEqual({ sent: 2, writes: 1 });
    await backend.remove("r", []);
    backend.runTallies.add("r", { sent: 1 });
    await backend.update("other", write);
    expect(await backend.runTallies.of("r")).toBeUndefined();
  });

  test(`${name}: of a run that nobody counted from its beginning, it says so`, async () => {
    const backend = open();
    await backend.update("r", start);
    expect(await backend.runTallies.of("r")).toBeUndefined();
    keepWrites(backend);
    expect(await backend.runTallies.of("r")).toBeUndefined();
    await backend.update("r", write);
    expect(await backend.runTallies.of("r")).toEqual({ amounts: { writes: 1 }, runs: 1, isWhole: false });
  });
}

test("what is added beside writes is stored with the next commit, whoever causes it, and causes none", async () => {
  const file = join(scratchDirectory(), "pawl.db");
  const first = openFile(file);
  keepWrites(first);
  await first.update("r", start);
  first.runTallies.add("r", { read: 1 });
  expect((await first.runTallies.of("r"))?.amounts).toEqual({ writes: 1 });
  await first.update("other", start);
  expect((await first.runTallies.of("r"))?.amounts).toEqual({ writes: 1, read: 1 });
  await first.close();

  const second = openFile(file);
  keepWrites(second);
  await second.update("r", write);
  expect(await second.runTallies.of("r")).toEqual({ amounts: { writes: 2, read: 1 }, runs: 1, isWhole: true });
});

test("a write that fails alone takes nothing with it: the others of its commit are counted once", async () => {
  const backend = openFile(join(scratchDirectory(), "pawl.db"));
  keepWrites(backend);
  await backend.update("r", start);
  const broken: Transition = { guard: [], set: {}, add: { [field.status]: 1 } };
  const [good, bad] = await Promise.allSettled([backend.update("r", write), backend.update("r", broken)]);
  expect([good.status, bad.status]).toEqual(["fulfilled", "rejected"]);
  expect((await backend.runTallies.of("r"))?.amounts).toEqual({ writes: 2 });
});

test("an engine that does not count makes no table; on a file that has sums, it says of what it changes that they are not all", async () => {
  const file = join(scratchDirectory(), "pawl.db");
  const plain = openFile(file);
  await plain.update("early", start);
  await plain.close();
  const db = new DatabaseSync(file);
  expect(db.prepare("SELECT name FROM sqlite_schema WHERE name = 'run_tally'").all()).toEqual([]);
  db.close();

  const counting = openFile(file);
  keepWrites(counting);
  for (const id of ["changed", "left", "removed"]) await counting.update(id, start);
  await counting.close();

  const again = openFile(file);
  await again.update("changed", write);
  await again.remove("removed", []);
  expect(await again.runTallies.of("changed")).toMatchObject({ isWhole: false });
  expect(await again.runTallies.of("left")).toMatchObject({ isWhole: true });
  expect(await again.runTallies.of("removed")).toBeUndefined();
});
