// Hunts: a committed step that a SIGKILL loses or doubles, and a run that never ends after a restart.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { createEngine } from "../../lib/embedded/engine.ts";
import { expectedOutput, work } from "./workflow.ts";

const rounds = Number(process.env.PAWL_KILL_ROUNDS ?? 1);
const runs = 200;
const killsAtMost = 12;
const server = fileURLToPath(new URL("server.ts", import.meta.url));

describe(`${runs} runs in flight, and the server killed up to ${killsAtMost} times`, () => {
  test.each(Array.from({ length: rounds }, (_, round) => round + 1))(
    "round %i: each step is committed once, none is lost",
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "pawl-kill-"));
      try {
        const kills = await killUntilDone(folder);
        // A round that was over before it was disturbed has shown nothing.
        expect(kills).toBeGreaterThan(3);
        await checkJournal(join(folder, "journal"));
        await checkRuns(folder);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    110_000,
  );
});

/** Kills the server at random moments, a few of them soon after its start, then lets it finish. */
async function killUntilDone(folder: string): Promise<number> {
  let kills = 0;
  for (;;) {
    const child = spawn(process.execPath, [server, folder, join(folder, "journal"), String(runs)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    if (kills < killsAtMost) {
      await Promise.race([sleep(150 + Math.random() * 450), exited]);
      if (child.exitCode === null && child.kill("SIGKILL")) kills++;
    }
    const [code, signal] = await exited;
    if (signal === "SIGKILL") continue;
    expect(code, await output(child)).toBe(0);
    return kills;
  }
}

async function output(child: ChildProcess): Promise<string> {
  const chunks = await child.stdout?.toArray();
  return Buffer.concat((chunks ?? []) as Buffer[]).toString();
}

/** Lines may be missing, when the kill came between commit and journal; no line may stand there twice. */
async function checkJournal(journal: string): Promise<void> {
  const lines = (await readFile(journal, "utf8")).trim().split("\n");
  const twice = lines.filter((line, index) => lines.indexOf(line) !== index);
  expect(twice).toEqual([]);
}

async function checkRuns(dataDir: string): Promise<void> {
  const engine = await createEngine({ workflows: [work], dataDir });
  try {
    for (let index = 0; index < runs; index++) {
      const run = await engine.commands.get(`run-${index}`);
      expect(run).toMatchObject({ status: "succeeded", output: expectedOutput(index) });
      const ended = Object.values(run.steps).map(({ status }) => status);
      expect(ended.toSorted()).toEqual(["skipped", ...Array.from({ length: 7 }, () => "succeeded")]);
    }
    expect(await engine.deadLetters(10)).toEqual([]);
  } finally {
    await engine.stop();
  }
}
