/**
 * What Pawl costs and how fast it is, each figure beside its target, in some minutes.
 *
 *     npm run bench -- [--json] [--only <part>] [--pictures <folder>]
 *
 * Times are of this machine and this moment: what is compared with another is measured in turn with it, and figures are
 * medians. A target that is missed is told, and is no error: the bench fails when something cannot be measured.
 */
import process from "node:process";
import { parseArguments, UsageError } from "./arguments.ts";
import type { BillDetails } from "./bill.ts";
import { machine } from "./machine.ts";
import { type Measure, type PartName, parts } from "./parts.ts";
import { type Measured, reportOf, table } from "./report.ts";

function tell(what: string): void {
  process.stderr.write(`bench: ${what} …\n`);
}

async function bench(args: readonly string[]): Promise<string> {
  const asked = parseArguments(args, Object.keys(parts) as PartName[]);
  const where = machine();
  const beganAtMs = performance.now();
  const measured: Partial<Record<PartName, Measured>> = {};
  for (const name of asked.parts) {
    tell(name);
    const measure: Measure = parts[name];
    measured[name] = await measure(tell);
  }
  if (asked.pictures !== undefined) {
    tell(`pictures in ${asked.pictures}`);
    // Nothing else needs the code that draws.
    const { writePictures } = await import("./pictures.ts");
    await writePictures(asked.pictures, measured.bill?.details as BillDetails);
  }
  const report = reportOf(where, Math.round((performance.now() - beganAtMs) / 1_000), measured);
  return asked.json ? `${JSON.stringify(report)}\n` : table(report);
}

try {
  process.stdout.write(await bench(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
