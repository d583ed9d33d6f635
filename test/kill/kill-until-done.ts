// Kills a server again and again, and looks at the journal that it wrote.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

export const killsAtMost = 12;
const server = fileURLToPath(new URL("server.ts", import.meta.url));

/** Kills the server at random moments, a few of them soon after its start, then lets it finish. */
export async function killUntilDone(folder: string, workflow: string, runs: number): Promise<number> {
  let kills = 0;
  for (;;) {
    const child = spawn(process.execPath, [server, folder, join(folder, "journal"), workflow, String(runs)], {
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
export async function checkJournal(journal: string): Promise<void> {
  const lines = (await readFile(journal, "utf8")).trim().split("\n");
  const seen = new Set<string>();
  const twice = lines.filter((line) => seen.size === seen.add(line).size);
  expect(twice).toEqual([]);
}
