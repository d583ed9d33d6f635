// Starts, ends and redrives runs without end, many at a time, and says a letter for each write that was acknowledged.
import { writeSync } from "node:fs";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import type { RunStatus } from "../../lib/engine/run-state.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { runOf } from "../engine/sample-run.ts";

const [file = "", round = ""] = process.argv.slice(2);
const clock = createManualClock();
const backend = openSqliteBackend({ file, clock, logger: createRecordingLogger() });

async function turn(line: number): Promise<never> {
  for (let n = 1; ; n += 1) {
    const run = runOf({ runId: `r${round}-${line}-${n}`, createdAtMs: clock.now(), tags: { line: String(line) } });
    const put = async (status: RunStatus, endedAtMs?: number): Promise<void> => {
      const error = { name: "E", message: "no", fingerprint: "f" };
      const ended = endedAtMs === undefined ? {} : { endedAtMs, error };
      await backend.update(run.runId, { guard: [], set: encodeRun({ ...run, status, ...ended }) });
      writeSync(1, ".");
    };
    await put("running");
    await put("failed", clock.now());
    if (n % 2 === 0) await put("running");
    if (n % 4 === 0) await put("succeeded", clock.now());
  }
}

await Promise.all(Array.from({ length: 10 }, (_, line) => turn(line)));
