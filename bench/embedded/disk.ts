import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { startEngine } from "../../lib/embedded/engine.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { openWalSync } from "../../lib/embedded/wal-sync.ts";
import { systemClock } from "../../lib/runtime/system.ts";
import { silent } from "../../lib/testing/silent.ts";
import { chainOf } from "../chain.ts";
import { median } from "../statistics.ts";
import { finish, openEngine } from "./run-chains.ts";
import { commitsIn } from "./write-ahead-log.ts";

const stepsPerRun = 10;

/** What an engine on SQLite asks of its disk. */
export interface Disk {
  readonly syncsPerStep: number;
  /** Of one small commit that is synchronised, with nothing around it. */
  readonly commitMs: number;
}

export async function measureDisk(dataDir: string): Promise<Disk> {
  const chain = chainOf(stepsPerRun, (_context, index) => index);
  let syncs = 0;
  const options = { clock: systemClock(), logger: silent };
  const backend = openSqliteBackend({
    ...options,
    file: join(dataDir, "pawl.db"),
    openSync: (file, db) => {
      const { sync, close } = openWalSync(file, db);
      const counted = (): void => {
        syncs++;
        sync();
      };
      return { sync: counted, close };
    },
  });
  const engine = await startEngine({ ...options, workflows: [chain] }, backend, createMemoryBlobs);
  await finish(engine, chain);
  const before = syncs;
  const runs = 100;
  for (let run = 0; run < runs; run++) await finish(engine, chain);
  const syncsPerStep = (syncs - before) / (runs * stepsPerRun);
  await engine.stop();
  return { syncsPerStep, commitMs: bareCommitMs(join(dataDir, "bare.db")) };
}

/** By SQLite itself. */
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
