// Hunts a write that was acknowledged and is gone after kill -9 (R5).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import type { Message } from "../../lib/engine/message.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { scratchDirectory } from "./scratch-directory.ts";

test("kill -9 loses no acknowledged run, payload or message, three times in a row", { timeout: 60_000 }, async () => {
  const file = join(scratchDirectory(), "pawl.db");
  for (let round = 1; round <= 3; round += 1) {
    const lines = await writeAndKill(file, 200);
    const clock = createManualClock();
    const backend = openSqliteBackend({ file, clock, logger: createRecordingLogger() });
    await backend.recover();
    const messages = new Set<string>();
    await clock.advance(100_000);
    while ((backend.nextDueAtMs() ?? Infinity) <= clock.now()) {
      for (const { body } of await backend.receive(1_000, 36_000_000)) messages.add((body as Message).runId);
    }
    const lost: string[] = [];
    for (const line of lines) {
      const [run, n] = line.split(" ");
      const loaded = await backend.load(`run${run}`);
      const whole =
        Number(loaded?.fields.n) >= Number(n) &&
        loaded?.payloads.get(`out#${n}`)?.length === 502 &&
        messages.has(`run${run}-${n}-a`) &&
        messages.has(`run${run}-${n}-b`);
      if (!whole) lost.push(line);
    }
    expect(lost).toEqual([]);
    await backend.close();
  }
});

/** Lets a process write and kills it, after so many acknowledgements, in the middle of whatever it is doing. */
async function writeAndKill(file: string, acknowledgements: number): Promise<string[]> {
  const script = new URL("write-until-killed.child.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, file], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    if (said.split("\n").length > acknowledgements) child.kill("SIGKILL");
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  expect([code, signal]).toEqual([null, "SIGKILL"]);
  return said.split("\n").slice(0, -1);
}
