// Hunts: a turn that a SIGKILL loses, gives twice or gives out of order.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createEngine } from "../../lib/embedded/engine.ts";
import { turns } from "./turns-workflow.ts";

const runs = 60;
const kills = 8;
const server = fileURLToPath(new URL("turns-server.ts", import.meta.url));

test(`${runs} runs, two at a time, and the server killed ${kills} times: each has its turn, in order`, async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-turns-"));
  const journal = join(folder, "journal");
  try {
    for (let kill = 0; kill <= kills; kill++) {
      const child = spawn(process.execPath, [server, folder, journal, String(runs)], { stdio: "inherit" });
      const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
      if (kill < kills) {
        await Promise.race([sleep(250 + Math.random() * 250), exited]);
        child.kill("SIGKILL");
        await exited;
      } else expect((await exited)[0]).toBe(0);
    }
    const lines = (await readFile(journal, "utf8")).trim().split("\n");
    const order = lines.filter((line) => line.startsWith("turn ")).map((line) => Number(line.split("-")[1]));
    // A kill between commit and journal leaves a line out.
    expect(order.length).toBeGreaterThan(runs - 2 * kills - 1);
    expect(order).toEqual([...new Set(order)].toSorted((one, other) => one - other));
    await checkRuns(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 110_000);

async function checkRuns(dataDir: string): Promise<void> {
  const engine = await createEngine({ workflows: [turns], dataDir });
  try {
    for (let index = 0; index < runs; index++) {
      expect(await engine.commands.get(`run-${index}`)).toMatchObject({ status: "succeeded", output: index });
    }
    expect(await engine.deadLetters(10)).toEqual([]);
  } finally {
    await engine.stop();
  }
}
