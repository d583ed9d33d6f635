import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { chainOf } from "../chain.ts";
import { median } from "../statistics.ts";
import { finish, openEngine } from "./run-chains.ts";
import { commitsIn } from "./write-ahead-log.ts";

const stepsPerRun = 10;

/** What an engine on SQLite asks of its disk. */
export interface Disk {
  readonly commitsPerStep: number;
  /** Of one small commit that is synchronised, with nothing around it: the least that a step can wait for. */
  readonly commitMs: number;
}

export async function measureDisk(dataDir: string): Promise<Disk> {
  const chain = chainOf(stepsPerRun, (_context, index) => index);
  const log = join(dataDir, "pawl.db-wal");
  const engine = await openEngine(chain, dataDir);
  await finish(engine, chain);
  const before = commitsIn(await readFile(log));
  const runs = 3;
  for (let run = 0; run < runs; run++) await finish(engine, chain);
  // So few runs that the log has not been begun anew.
  const commits = commitsIn(await readFile(log)) - before;
  await engine.stop();
  return { commitsPerStep: commits / (runs * stepsPerRun), commitMs: bareCommitMs(join(dataDir, "bare.db")) };
}

/** As the engine opens its file. */
function bareCommitMs(file: string): number {
  const db = new DatabaseSync(file);
  db.exec("PRAGMA locking_mode = EXCLUSIVE");
  db.exec("PRAGMA journal_mode = WAL");
  db.exec("PRAGMA synchronous = FULL");
  db.exec("CREATE TABLE record (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT");
  const insert = db.prepare("INSERT INTO record (text) VALUES (?)");
  const times = Array.from({ length: 1_000 }, () => {
    const begunAtMs = performance.now();
    insert.run("x".repeat(500));
    return performance.now() - begunAtMs;
  });
  db.close();
  return median(times);
}

/** What an engine does while nothing runs. */
export interface Idle {
  readonly seconds: number;
  readonly commits: number;
  readonly cpuMs: number;
}

export async function measureIdle(dataDir: string): Promise<Idle> {
  const chain = chainOf(stepsPerRun, (_context, index) => index);
  const log = join(dataDir, "pawl.db-wal");
  const engine = await openEngine(chain, dataDir);
  await finish(engine, chain);
  // What follows an end, such as its garbage, is not idleness.
  await sleep(1_000);
  const before = commitsIn(await readFile(log));
  const cpu = process.cpuUsage();
  const seconds = 5;
  await sleep(seconds * 1_000);
  const { user, system } = process.cpuUsage(cpu);
  const commits = commitsIn(await readFile(log)) - before;
  await engine.stop();
  return { seconds, commits, cpuMs: (user + system) / 1_000 };
}
