/**
 * What Pawl costs and how fast it is, each figure beside its target, in some minutes.
 *
 *     npm run bench -- [--json] [--only <part>] [--pictures <folder>]
 *
 * Times are of this machine and this moment: what is compared with another is measured in turn with it, and figures are
 * medians. A target that is missed is told, and is no error. A part that cannot be measured is: the others are told all the same.
 */
import process from "node:process";
import { parseArguments, UsageError } from "./arguments.ts";
import type { BillDetails } from "./bill.ts";
import { machine } from "./machine.ts";
import { type Measure, type PartName, parts } from "./parts.ts";
import { type Measured, type Report, reportOf, table } from "./report.ts";

function tell(what: string): void {
  process.stderr.write(`bench: ${what} …\n`);
}

async function bench(args: readonly string[]): Promise<Report & { readonly isJson: boolean }> {
  const asked = parseArguments(args, Object.keys(parts) as PartName[]);
  const where = machine();
  const beganAtMs = performance.now();
  const measured: Partial<Record<PartName, Measured>> = {};
  const failed: Partial<Record<PartName, string>> = {};
  for (const name of asked.parts) {
    tell(name);
    const measure: Measure = parts[name];
    try {
      measured[name] = await measure(tell);
    } catch (error) {
      failed[name] = error instanceof Error ? error.message : String(error);
      tell(`${name} could not be measured: ${failed[name]}`);
    }
  }
  if (asked.pictures !== undefined && measured.bill !== undefined) {
    tell(`pictures in ${asked.pictures}`);
    // Nothing else needs the code that draws.
    const { writePictures } = await import("./pictures.ts");
    await writePictures(asked.pictures, measured.bill.details as BillDetails);
  }
  const seconds = Math.round((performance.now() - beganAtMs) / 1_000);
  return { ...reportOf(where, seconds, measured, failed), isJson: asked.json };
}

try {
  const { isJson, ...report } = await bench(process.argv.slice(2));
  process.stdout.write(isJson ? `${JSON.stringify(report)}\n` : table(report));
  if (Object.keys(report.failed).length > 0) process.exitCode = 1;
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
