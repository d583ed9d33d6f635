import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import process from "node:process";
import type { Machine } from "./report.ts";
import { rounded } from "./statistics.ts";

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cpus: availableParallelism(),
    memoryGiB: rounded(totalmem() / 1024 ** 3, 3),
    node: process.version,
    loadAverage: rounded(loadavg()[0] ?? Number.NaN, 3),
  };
}
