// Hunts: a run that a bulk operation redrives twice, or forgets, because its server is killed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createEngine } from "../../lib/embedded/engine.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import { create, newRun } from "../../lib/engine/start.ts";
import { systemClock } from "../../lib/runtime/system.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { fingerprint, mended, operationId } from "./bulk-workflow.ts";
import { checkJournal } from "./kill-until-done.ts";

const runs = 5_000;
const others = 50;
/** After so many redrives in one life. Together they are about half of the runs. */
const kills = [40, 300, 1, 900, 700];
/** A run whose redrive was written, but not sent on, waits for its nudge: most of a minute. So it is left to `npm run test:kill`. */
const isAsked = process.env.PAWL_KILL_ROUNDS !== undefined;
const server = fileURLToPath(new URL("bulk-server.ts", import.meta.url));

test.runIf(isAsked)(
  `${runs} failed runs are redriven once each, by fingerprint, though the server is killed ${kills.length} times`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "pawl-bulk-"));
    const journal = join(folder, "journal");
    try {
      await storeFailures(folder);
      for (const redrives of kills) expect(await serve(folder, journal, redrives)).toBe("SIGKILL");
      expect(await serve(folder, journal)).toBe(0);
      await checkJournal(journal);
      const lines = (await readFile(journal, "utf8")).trim().split("\n");
      const redriven = lines.filter((line) => line.endsWith(" running 1"));
      // A kill between commit and journal leaves a few out.
      expect(redriven.length).toBeGreaterThan(runs - 20 * kills.length);
      expect(lines.filter((line) => / (running|succeeded) [^1]/.test(line))).toEqual([]);
      await checkRuns(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  170_000,
);

/** Until it has redriven so many runs, then it is killed; or until it ends by itself. */
async function serve(folder: string, journal: string, redrives = Infinity): Promise<number | string | null> {
  const child = spawn(process.execPath, [server, folder, journal], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  let seen = 0;
  child.stdout.on("data", (dots: Buffer) => {
    seen += dots.length;
    if (seen >= redrives) child.kill("SIGKILL");
  });
  const [code, signal] = await exited;
  return signal ?? code;
}

/** As a worker that failed at them would have left them; some have failed otherwise. */
async function storeFailures(folder: string): Promise<void> {
  const clock = systemClock();
  const backend = openSqliteBackend({ file: join(folder, "pawl.db"), clock, logger: createRecordingLogger() });
  await backend.putGraph(mended.name, mended.fingerprint, JSON.stringify(mended.graph));
  const nowMs = clock.now();
  const failed = (runId: string, of: string): RunState => ({
    ...newRun(mended.graph, { runId, fingerprint: mended.fingerprint, input: { json: "" }, inputHash: "" }, nowMs),
    status: "failed",
    changes: 3,
    endedAtMs: nowMs,
    error: { name: "Error", message: "not yet", step: "work", fingerprint: of },
    steps: [{ status: "failed", attempt: 1, startedAtMs: nowMs, endedAtMs: nowMs }],
  });
  const states = [
    ...Array.from({ length: runs }, (_, index) => failed(`run-${index}`, fingerprint)),
    ...Array.from({ length: others }, (_, index) => failed(`other-${index}`, "another")),
  ];
  await Promise.all(states.map((run) => backend.update(run.runId, create(run))));
  await backend.close();
}

async function checkRuns(dataDir: string): Promise<void> {
  const engine = await createEngine({ workflows: [mended], dataDir });
  try {
    const operation = await engine.operations.get(operationId);
    expect(operation).toMatchObject({ status: "succeeded", failures: [] });
    expect(operation.progress).toEqual({ selected: runs, done: runs, skipped: 0, failed: 0 });
    for (let index = 0; index < runs; index++) {
      const runId = `run-${index}`;
      expect(await engine.commands.get(runId)).toMatchObject({ status: "succeeded", output: runId, redrives: 1 });
    }
    for (let index = 0; index < others; index++) {
      expect(await engine.commands.get(`other-${index}`)).toMatchObject({ status: "failed", redrives: 0 });
    }
    expect(await engine.deadLetters(10)).toEqual([]);
  } finally {
    await engine.stop();
  }
}
