// Hunts: a committed step that a SIGKILL loses or doubles, and a run that never ends after a restart.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createEngine } from "../../lib/embedded/engine.ts";
import { checkJournal, killsAtMost, killUntilDone } from "./kill-until-done.ts";
import { expectedOutput, work } from "./workflow.ts";

const rounds = Number(process.env.PAWL_KILL_ROUNDS ?? 1);
const runs = 200;

describe(`${runs} runs in flight, and the server killed up to ${killsAtMost} times`, () => {
  test.each(Array.from({ length: rounds }, (_, round) => round + 1))(
    "round %i: each step is committed once, none is lost",
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "pawl-kill-"));
      try {
        const kills = await killUntilDone(folder, work.name, runs);
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
