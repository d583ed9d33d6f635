/** `pawl cost`: what AWS would bill for a workflow, by playing one run of it here. */
import { readFileSync } from "node:fs";
import process from "node:process";
import { type Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { usualAssumptions } from "../cost/assumptions.ts";
import { type Prices, prices } from "../cost/prices.ts";
import { reportOf } from "../cost/report.ts";
import { usageNames } from "../cost/usage.ts";
import { parseDuration } from "../definition/duration.ts";
import { pickWorkflow } from "../dev/demo.ts";
import { loadWorkflows } from "../dev/load-workflows.ts";
import { PlainError } from "../dev/plain-error.ts";
import { PawlError } from "../runtime/errors.ts";
import { parseCount, parseSet, readJson } from "./arguments.ts";
import { costLines } from "./cost-text.ts";
import { print, withExamples } from "./server-command.ts";
import { linesFor } from "./terminal.ts";

interface CostFlags {
  readonly input?: string;
  readonly workflow?: string;
  readonly signal?: Readonly<Record<string, unknown>>;
  readonly memory: number;
  readonly invocation: number;
  readonly changesAtOnce: number;
  readonly region: string;
  readonly prices?: string;
  readonly json?: boolean;
}

export function addCostCommand(program: Command, setExitCode: (code: number) => void): void {
  const { memoryMb, invocationMs, changesAtOnce } = usualAssumptions;
  withExamples(
    program.command("cost"),
    "pawl cost order.ts --input order.json",
    "pawl cost loan.ts --input loan.json --signal 'approval={\"approved\":true}' --memory 512 --invocation 200ms",
  )
    .description("what AWS would bill for a workflow: plays one run of it here, in virtual time")
    .argument("<file>", "TypeScript or JavaScript module; the steps run their own code")
    .option("--input <file>", "JSON file with the input, or - for standard input")
    .option("--workflow <name>", "which one, when the file has several")
    .addOption(new Option("--signal <name=json>", "sent at the beginning; may be repeated").argParser(parseSet))
    .addOption(
      new Option("--memory <MB>", "of the functions that run steps")
        .default(memoryMb)
        .argParser(parseCount(128, 10_240)),
    )
    .addOption(
      new Option("--invocation <duration>", "that each of them takes, such as 50ms")
        .default(invocationMs, `${invocationMs}ms`)
        .argParser(parseInvocation),
    )
    .addOption(
      new Option("--changes-at-once <number>", "status changes that come together; the more runs there are, the more")
        .default(changesAtOnce)
        .argParser(parseCount(1, 100)),
    )
    .addOption(new Option("--region <region>", "whose prices").choices(Object.keys(prices)).default("us-east-1"))
    .addOption(new Option("--prices <file>", "JSON file with other prices").conflicts("region"))
    .option("--json", "print JSON")
    .action(async (file: string, flags: CostFlags) => {
      const { workflows } = await loadWorkflows(file);
      const workflow = pickWorkflow(workflows, flags.workflow, "--workflow");
      const assumptions = {
        memoryMb: flags.memory,
        invocationMs: flags.invocation,
        changesAtOnce: flags.changesAtOnce,
      };
      // The other commands do without the engine, and start sooner.
      const { playMetered } = await import("../cost/play.ts");
      const run = await playMetered(workflow, {
        ...(flags.input === undefined ? {} : { input: readJson(flags.input, "input") }),
        ...(flags.signal === undefined ? {} : { signals: flags.signal }),
        assumptions,
      }).catch((error: unknown) => {
        throw error instanceof PawlError ? new PlainError(error.message, { cause: error }) : error;
      });
      const own = flags.prices === undefined ? undefined : readPrices(flags.prices);
      const region = flags.prices ?? flags.region;
      const table = own ?? prices[flags.region];
      if (table === undefined) throw new Error(`There are no prices of ${flags.region}.`);
      const report = reportOf(workflow.name, run, { region, prices: table, assumptions });
      if (flags.json === true) print(flags, report, "");
      else process.stdout.write(`${linesFor(process.stdout, costLines(report))}\n`);
      setExitCode(report.waitsFor === undefined ? 0 : 1);
    });
}

function parseInvocation(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1 && ms <= 900_000) return ms;
  throw new InvalidArgumentError("Allowed are 1ms to 15m.");
}

const price = z.number().min(0);
const PriceFile = z.strictObject({
  date: z.string(),
  sources: z.array(z.string()),
  perUnit: z.strictObject(Object.fromEntries(usageNames.map((name) => [name, price]))),
  peers: z.strictObject({
    stateTransition: price,
    durableOperation: price,
    durableGbWritten: price,
    durableGbMonth: price,
  }),
});

/** @throws {PlainError} naming what is wrong with it */
function readPrices(file: string): Prices {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new PlainError(`The prices cannot be read from ${file}: ${(error as Error).message}.`, {
      exitCode: 2,
      cause: error,
    });
  }
  const parsed = PriceFile.safeParse(json);
  if (parsed.success) return parsed.data as unknown as Prices;
  const like = JSON.stringify(prices["us-east-1"]);
  throw new PlainError(
    `The prices in ${file} are not as they should be. ${z.prettifyError(parsed.error)}\nThose of us-east-1 are: ${like}`,
    { exitCode: 2 },
  );
}
