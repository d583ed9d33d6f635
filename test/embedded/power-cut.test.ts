// Hunts what a power cut takes back although somebody outside has been told of it, or user code has run because of it: a
// disk is only as far as its last sync. Each sync of the engine's log is followed by a copy of its files, which is all that
// a cut before the next sync is sure to leave.
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { workflow } from "../../lib/definition/workflow.ts";
import { type Engine, startEngine } from "../../lib/embedded/engine.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { openWalSync, type WalSync } from "../../lib/embedded/wal-sync.ts";
import type { RunStatus } from "../../lib/engine/run-state.ts";
import { systemClock } from "../../lib/runtime/system.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { scratchDirectory } from "./scratch-directory.ts";

/** What happened when the disk was at that copy. */
interface Seen<T> {
  readonly copy: number;
  readonly what: T;
}

let onAttempt: (attempt: string) => void = () => undefined;
const diamond = workflow("diamond", { defaults: { retry: { backoff: { type: "fixed", base: "1ms" } } } }, (w) => {
  const attempted = ({ runId, stepId, attempt }: { runId: string; stepId: string; attempt: number }): number => {
    onAttempt(`${runId}/${stepId}#${attempt}`);
    return attempt;
  };
  const first = w.step("first", { run: attempted });
  const flaky = w.step("flaky", {
    after: [first],
    run: (context) => {
      if (attempted(context) === 1) throw new Error("once");
    },
  });
  const beside = w.step("beside", { after: [first], run: attempted });
  const last = w.step("last", { after: [flaky, beside], run: attempted });
  // Without a claim, only a read comes before its code.
  return w.step("echo", { after: [last], idempotent: true, run: attempted });
});

async function open(file: string, afterSync?: () => void): Promise<Engine> {
  const options = { clock: systemClock(), logger: createRecordingLogger() };
  const openSync = (name: string, db: Parameters<typeof openWalSync>[1]): WalSync => {
    const { sync, close } = openWalSync(name, db);
    const syncAndCopy = (): void => {
      sync();
      afterSync?.();
    };
    return { sync: syncAndCopy, close };
  };
  const backend = openSqliteBackend({ file, ...options, openSync });
  return startEngine({ ...options, workflows: [diamond] }, backend, createMemoryBlobs);
}

test("what anybody was told survives, and no attempt is made twice", async () => {
  const folder = scratchDirectory();
  const file = join(folder, "pawl.db");
  const fileOf = (copy: number): string => join(folder, String(copy), "pawl.db");
  let copies = 0;
  const begun: Seen<string>[] = [];
  const told: Seen<{ runId: string; status: RunStatus }>[] = [];
  const seen = <T>(what: T): Seen<T> => ({ copy: copies - 1, what });
  onAttempt = (attempt) => begun.push(seen(attempt));
  const engine = await open(file, () => {
    mkdirSync(join(folder, String(copies)));
    for (const end of ["", "-wal"]) copyFileSync(`${file}${end}`, `${fileOf(copies)}${end}`);
    copies += 1;
  });
  engine.onEvent(({ runId, status }) => told.push(seen({ runId, status })));
  engine.onUpdate(({ after: { runId, status } }) => told.push(seen({ runId, status })));
  const runIds = ["a", "b", "c"];
  await Promise.all(
    runIds.map(async (runId) => {
      const { status } = await engine.start(diamond, { runId });
      told.push(seen({ runId, status }));
      const now = await engine.commands.get(runId);
      told.push(seen({ runId, status: now.status }));
      const end = await engine.waitForEnd(runId);
      told.push(seen({ runId, status: end.status }));
    }),
  );
  await engine.stop();
  expect(begun).toHaveLength(6 * runIds.length);
  expect(copies).toBeGreaterThan(5);
  expect([...begun, ...told].filter(({ copy }) => copy < 0)).toEqual([]);

  for (let copy = 0; copy < copies; copy++) {
    const again: string[] = [];
    onAttempt = (attempt) => again.push(attempt);
    const afterCut = await open(fileOf(copy));
    for (const { what } of told.filter((one) => one.copy === copy)) {
      const { status } = await afterCut.commands.get(what.runId);
      if (what.status === "succeeded") expect(status).toBe("succeeded");
    }
    const known = await afterCut.queries.list({});
    for (const { runId } of known.runs) {
      expect(await afterCut.waitForEnd(runId, { timeoutMs: 5_000 })).toMatchObject({ status: "succeeded" });
    }
    await afterCut.stop();
    const before = begun.filter((one) => one.copy <= copy).map(({ what }) => what);
    const twice = again.filter((attempt) => before.includes(attempt));
    expect(twice.filter((attempt) => !attempt.includes("/echo#"))).toEqual([]);
    // What it has seen the result of is not done again.
    const echoed = before.filter((attempt) => attempt.includes("/echo#")).map((attempt) => attempt.split("/")[0]);
    expect(again.filter((attempt) => echoed.some((runId) => attempt.startsWith(`${runId}/last#`)))).toEqual([]);
  }
});
