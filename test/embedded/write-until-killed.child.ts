// Writes without end, many at a time, and prints each write once it has been acknowledged.
import { writeSync } from "node:fs";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { outgoing } from "./outgoing.ts";

const backend = openSqliteBackend({
  file: process.argv[2]!,
  clock: createManualClock(),
  logger: createRecordingLogger(),
});

async function write(run: number): Promise<never> {
  for (let n = 1; ; n += 1) {
    await backend.update(`run${run}`, { guard: [], set: { status: "running" }, add: { n: 1 } });
    await backend.putPayload(`run${run}`, `out#${n}`, `"${"x".repeat(500)}"`);
    await backend.send([outgoing(`run${run}-${n}-a`), outgoing(`run${run}-${n}-b`, 100_000)]);
    writeSync(1, `${run} ${n}\n`);
  }
}

await Promise.all(Array.from({ length: 10 }, (_, run) => write(run)));
