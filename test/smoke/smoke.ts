/**
 * Checks what no emulator shows, in the AWS account of whoever runs it:
 *
 *     npm run smoke:aws -- [--timer] [--keep]
 *
 * 1. Chains of 40 hops end: Lambda's recursive loop detection stops a chain at about 16, unless every function of the
 *    cycle is exempt from it.
 * 2. How long a hop takes, from the end of a step to the begin of the next.
 * 3. With `--timer` (16 minutes more): a timer beyond SQS' 15 minutes comes, not early, and how late. EventBridge
 *    Scheduler promises the minute.
 *
 * It deploys the stack PawlSmoke (bootstrapped environment, credentials and region as for any `cdk deploy`), and destroys
 * it at the end unless `--keep`. Well under a cent.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import * as z from "zod";
import { chain, hops, timer, timerMs } from "./workflows.ts";

const runs = 10;
const chainWithinMs = 5 * 60_000;
const timerWithinMs = timerMs + 3 * 60_000;
const lookEveryMs = 2_000;
const app = ["--app", `${process.execPath} test/smoke/app.ts`];

const Outputs = z.object({ PawlSmoke: z.object({ CommandFunction: z.string() }) });
const Run = z.object({
  status: z.string(),
  steps: z.record(z.string(), z.object({ startedAt: z.string().optional(), endedAt: z.string().optional() })),
});
type Run = z.output<typeof Run>;

const { values: options } = parseArgs({ options: { timer: { type: "boolean" }, keep: { type: "boolean" } } });

const folder = await mkdtemp(join(tmpdir(), "pawl-smoke-"));
try {
  const outputs = join(folder, "outputs.json");
  await cdk("deploy", "--require-approval", "never", "--outputs-file", outputs);
  const { CommandFunction } = Outputs.parse(JSON.parse(await readFile(outputs, "utf8"))).PawlSmoke;
  const lambda = new LambdaClient({});
  const command = (payload: object): Promise<unknown> => invoke(lambda, CommandFunction, payload);

  const chains = await Promise.all(
    Array.from({ length: runs }, (_, index) => finish(command, chain.name, index, chainWithinMs)),
  );
  const passed = chains.filter(({ status }) => status === "succeeded").length;
  report(
    passed === runs,
    `${passed} of ${runs} chains of ${hops} hops succeeded (loop detection would stop them at about 16)`,
  );
  const gaps = chains.flatMap(gapsOf).toSorted((a, b) => a - b);
  const percentile = (part: number): number =>
    gaps[Math.min(gaps.length - 1, Math.floor(gaps.length * part))] ?? Number.NaN;
  console.log(
    `     from step to step: p50 ${percentile(0.5)} ms, p90 ${percentile(0.9)} ms, p99 ${percentile(0.99)} ms`,
  );

  if (options.timer === true) {
    const run = await finish(command, timer.name, 0, timerWithinMs);
    const { wait, woken } = run.steps;
    const sleptMs = Date.parse(woken?.startedAt ?? "") - Date.parse(wait?.startedAt ?? "");
    report(run.status === "succeeded" && sleptMs >= timerMs, `a sleep of ${timerMs} ms took ${sleptMs} ms`);
  }
} catch (error) {
  // Told first: destroying may fail, too.
  console.error(error);
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
  if (options.keep !== true) await cdk("destroy", "--force");
}

/** Pauses between the end of a step and the begin of the next, in ms. */
function gapsOf({ steps }: Run): number[] {
  return Array.from({ length: hops - 1 }, (_, index) => {
    const [before, after] = [steps[`hop${index}`]?.endedAt, steps[`hop${index + 1}`]?.startedAt];
    return before === undefined || after === undefined ? [] : [Date.parse(after) - Date.parse(before)];
  }).flat();
}

/** Starts a run and looks at it until it has ended: this is a check, and AWS bills a look like any other invocation. */
async function finish(
  command: (payload: object) => Promise<unknown>,
  workflow: string,
  index: number,
  withinMs: number,
): Promise<Run> {
  const runId = `smoke-${workflow}-${Date.now()}-${index}`;
  const giveUpAtMs = Date.now() + withinMs;
  await command({ action: "start", workflow, runId });
  for (;;) {
    const run = Run.parse(await command({ action: "get", runId }));
    if (!["running", "paused", "unwinding"].includes(run.status)) return run;
    if (Date.now() > giveUpAtMs) {
      console.log(`     run ${runId} has not ended within ${withinMs / 60_000} min: ${JSON.stringify(run)}`);
      return run;
    }
    await sleep(lookEveryMs);
  }
}

async function invoke(lambda: LambdaClient, FunctionName: string, payload: object): Promise<unknown> {
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName, Payload: JSON.stringify(payload) }),
  );
  const answer = Payload?.transformToString() ?? "";
  if (FunctionError !== undefined)
    throw new Error(`${FunctionName} answered ${JSON.stringify(payload)} with ${answer}`);
  return JSON.parse(answer) as unknown;
}

async function cdk(...args: readonly string[]): Promise<void> {
  const child = spawn("cdk", [...args, ...app], { stdio: "inherit" });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`cdk ${args.join(" ")} failed; its reason is above.`);
}

function report(isGood: boolean, what: string): void {
  console.log(`${isGood ? "ok  " : "FAIL"} ${what}`);
  if (!isGood) process.exitCode = 1;
}
