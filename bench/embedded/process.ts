/**
 * One measurement of the embedded engine in a process of its own, whose memory is then nobody else's:
 * `node process.ts <measurement> [<data folder>]` prints what it found as JSON. ../embedded.ts starts it.
 */
import process from "node:process";
import { measureDisk, measureIdle } from "./disk.ts";
import { measureGrowth } from "./growth.ts";
import type { DataDir } from "./run-chains.ts";
import { measureThroughput } from "./throughput.ts";

const measurements: Readonly<Record<string, (dataDir: DataDir) => Promise<unknown>>> = {
  one: (dataDir) => measureThroughput(dataDir, 1),
  fifty: (dataDir) => measureThroughput(dataDir, 50),
  growth: measureGrowth,
  disk: (dataDir) => measureDisk(folder(dataDir)),
  idle: (dataDir) => measureIdle(folder(dataDir)),
};

function folder(dataDir: DataDir): string {
  if (dataDir === undefined) throw new Error("Only an engine with a data folder has a disk.");
  return dataDir;
}

const [name = "", dataDir] = process.argv.slice(2);
const measure = measurements[name];
if (measure === undefined) {
  throw new Error(`There is no measurement "${name}"; there are ${Object.keys(measurements).join(", ")}.`);
}
process.stdout.write(JSON.stringify(await measure(dataDir)));
