// Hunts: an item of a map, or a child, that a SIGKILL loses or doubles, and a map that never ends after a restart.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createEngine } from "../../lib/embedded/engine.ts";
import { checkJournal, killUntilDone } from "./kill-until-done.ts";
import { children, expectedOutput, items, wide } from "./map-workflow.ts";

const rounds = Number(process.env.PAWL_KILL_ROUNDS ?? 1);
const runs = 3;

test.each(Array.from({ length: rounds }, (_, round) => round + 1))(
  "round %i: three maps in flight, and the server killed: each item is committed once, none is lost",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "pawl-kill-"));
    try {
      expect(await killUntilDone(folder, wide.name, runs)).toBeGreaterThan(3);
      await checkJournal(join(folder, "journal"));
      const engine = await createEngine({ workflows: [wide], dataDir: folder });
      try {
        for (let index = 0; index < runs; index++) {
          const run = await engine.commands.get(`run-${index}`);
          expect(run).toMatchObject({ status: "succeeded", output: expectedOutput(index) });
          expect(run.steps.each?.output).toEqual({ items, failures: 3 });
          expect(run.steps.runs?.output).toEqual({ items: children, failures: 0 });
        }
        expect(await engine.deadLetters(10)).toEqual([]);
      } finally {
        await engine.stop();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  110_000,
);
