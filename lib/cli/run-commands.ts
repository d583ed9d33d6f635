/** Commands that ask a server: start and watch runs, read their payloads, steer them; show workflows. */
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { type Command, Option } from "commander";
import type { WorkflowView } from "../api/workflow-view.ts";
import { pathSegment } from "../client/path-segment.ts";
import { formatDuration } from "../definition/duration.ts";
import { PlainError } from "../dev/plain-error.ts";
import { printableJson } from "../dev/text.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { RunView } from "../runtime/run-view.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { anyJson, aRun, aRunId, aStart, theWorkflows } from "./answers.ts";
import { type ApiClient, getCost, getRun, getWorkflow, refusedWith, runPath } from "./api-client.ts";
import { parseData, parseList, parseSet, parseTag, parseWaitMs, readJson } from "./arguments.ts";
import { runCostLines, runCostText } from "./cost-text.ts";
import { runText, statusText, workflowsText } from "./run-text.ts";
import { isOnAws } from "./server-address.ts";
import { connect, print, type ServerFlags, serverCommand } from "./server-command.ts";
import { linesFor } from "./terminal.ts";

interface WaitFlags extends ServerFlags {
  /** `true`: for as long as it takes. */
  readonly wait?: number | true;
}

interface ShowFlags extends ServerFlags {
  readonly cost?: boolean;
}

interface StartFlags extends WaitFlags {
  readonly input?: string;
  readonly runId?: string;
  readonly tag?: Readonly<Record<string, string>>;
}

interface RedriveFlags extends WaitFlags {
  readonly set?: Readonly<Record<string, unknown>>;
  readonly skip?: readonly string[];
  readonly by?: string;
  readonly reason?: string;
}

interface ForkFlags extends WaitFlags {
  readonly from: string;
  readonly runId?: string;
  readonly tag?: Readonly<Record<string, string>>;
}

interface SignalFlags extends ServerFlags {
  readonly payload?: string;
  readonly data?: unknown;
}

export function addRunCommands(program: Command, setExitCode: (code: number) => void): void {
  serverCommand(program, "start", "pawl start order --input order.json --run-id order-1042 --wait")
    .description("start a run; with --wait, show how it ended")
    .argument("<workflow>")
    .option("--input <file>", "JSON file with the input, or - for standard input")
    .option("--run-id <id>", "the same id and input start one run, however often it is asked for")
    .option("--tag <key=value>", "short text to find the run by; may be repeated", parseTag)
    .addOption(waitOption())
    .action(async (workflow: string, flags: StartFlags) => {
      setExitCode(await start(workflow, flags));
    });
  serverCommand(program, "show", "pawl show order-1042", "pawl show order-1042 --cost")
    .description("show a run and its steps; of a local server's, what it would cost on AWS")
    .argument("<runId>")
    .option("--cost", "also each line of the bill")
    .action(async (runId: string, flags: ShowFlags) => {
      await show(runId, flags);
    });
  serverCommand(program, "input", "pawl input order-1042 > order.json")
    .description("print the input of a run as JSON, however large")
    .argument("<runId>")
    .action(async (runId: string, flags: ServerFlags) => {
      await printPayload(flags, `${runPath(runId)}/input`);
    });
  serverCommand(program, "output", "pawl output order-1042", "pawl output order-1042 charge")
    .description("print the output of a run, or of one of its steps, as JSON, however large")
    .argument("<runId>")
    .argument("[stepId]")
    .action(async (runId: string, stepId: string | undefined, flags: ServerFlags) => {
      const step = stepId === undefined ? "" : `/steps/${pathSegment(stepId)}`;
      await printPayload(flags, `${runPath(runId)}${step}/output`);
    });
  serverCommand(program, "signal", "pawl signal order-1042 approval --data '{\"ok\":true}'")
    .description("send a signal to a run, once")
    .argument("<runId>")
    .argument("<name>", "of the signal: the id of the step that waits for it, or will")
    .option("--payload <file>", "JSON file with the payload, or - for standard input")
    .addOption(new Option("--data <json>", "the payload itself").argParser(parseData).conflicts("payload"))
    .action(async (runId: string, name: string, flags: SignalFlags) => {
      await signal(runId, name, flags);
    });
  serverCommand(program, "redrive", "pawl redrive order-1042 --wait")
    .description(
      "go on with a run that failed, timed out or was cancelled, or with its undoing; with --wait, show how it ended",
    )
    .argument("<runId>")
    .option("--set <step=json>", "end a step by hand, with this output; may be repeated", parseSet)
    .option("--skip <step>", "end a step by hand, as skipped; may be repeated", parseList)
    .option("--by <name>", "who ends steps by hand")
    .option("--reason <text>", "why they are ended by hand")
    .addOption(waitOption())
    .action(async (runId: string, flags: RedriveFlags) => {
      setExitCode(await redrive(runId, flags));
    });
  serverCommand(program, "fork", "pawl fork order-1042 --from charge")
    .description(
      "start a new run that keeps what a run has done, except from a step on; with --wait, show how it ended",
    )
    .argument("<runId>")
    .requiredOption("--from <step>", "the step that begins anew, and with it all that depends on it")
    .option("--run-id <id>", "of the new run; the same id and fork make one run, however often it is asked for")
    .option("--tag <key=value>", "instead of the tags of the run; may be repeated", parseTag)
    .addOption(waitOption())
    .action(async (runId: string, flags: ForkFlags) => {
      setExitCode(await fork(runId, flags));
    });
  const operations = {
    cancel: "end a run, and undo first what its steps can undo",
    pause: "begin no further steps of a run; steps in flight may end",
    resume: "go on with a paused run",
    terminate: "end a run at once, also one that unwinds, and undo nothing",
  };
  for (const [operation, description] of Object.entries(operations)) {
    serverCommand(program, operation, `pawl ${operation} order-1042`)
      .description(description)
      .argument("<runId>")
      .action(async (runId: string, flags: ServerFlags) => {
        const run = await change(await connect(flags), runId, operation);
        print(flags, run, `Run ${run.runId} is ${statusText(run)}.`);
      });
  }
  serverCommand(program, "purge", "pawl purge order-1042")
    .description("delete a run that has ended, with all that is stored of it and of what it started")
    .argument("<runId>")
    .action(async (runId: string, flags: ServerFlags) => {
      const purged = await (await connect(flags)).delete(runPath(runId), aRunId);
      print(flags, purged, `Run ${purged.runId} is deleted.`);
    });
  serverCommand(program, "workflows", "pawl workflows")
    .description("show the workflows of a server and their steps")
    .action(async (flags: ServerFlags) => {
      const workflows = await getWorkflows(await connect(flags));
      print(flags, { workflows }, workflowsText(workflows));
    });
}

function waitOption(): Option {
  return new Option("--wait [duration]", "wait for the end of the run, for so long at most").argParser(parseWaitMs);
}

async function show(runId: string, flags: ShowFlags): Promise<void> {
  const api = await connect(flags);
  const { cost: inFull = false } = flags;
  const asked = inFull ? getCost(api, runId) : isOnAws(flags) ? undefined : getCost(api, runId).catch(unlessNotThere);
  const [run, cost] = await settleAll([getRun(api, runId), asked]);
  if (cost === undefined) {
    printRun(run, flags);
    return;
  }
  const bill = inFull ? `\n\n${linesFor(process.stdout, runCostLines(cost))}` : "";
  print(flags, { ...run, cost }, `${runText(run, runCostText(cost))}${bill}`);
}

/** A server that does not count, or did not count this run, or is older than that. */
function unlessNotThere(error: unknown): undefined {
  const isExpected = ["not_metered", "run_not_found", "route_not_found"].includes(refusedWith(error) ?? "");
  if (!isExpected) throw error;
}

async function start(workflow: string, flags: StartFlags): Promise<number> {
  const api = await connect(flags);
  const request = {
    ...(flags.input === undefined ? {} : { input: readJson(flags.input, "input") }),
    ...(flags.runId === undefined ? {} : { runId: flags.runId }),
    ...(flags.tag === undefined ? {} : { tags: flags.tag }),
  };
  const { status, body } = await api.post(`/workflows/${pathSegment(workflow)}/runs`, aStart, request);
  const { runId } = body;
  if (flags.wait !== undefined) return showEnd(api, runId, flags, flags.wait);
  const what = status === 202 ? "is started" : `was there already, from the same start; it is ${statusText(body)}`;
  print(flags, body, `Run ${runId} ${what}. See it with: pawl show ${runId}`);
  return 0;
}

async function signal(runId: string, name: string, flags: SignalFlags): Promise<void> {
  const payload = flags.payload === undefined ? flags.data : readJson(flags.payload, "payload");
  const run = await change(await connect(flags), runId, `signals/${pathSegment(name)}`, payload);
  const status = run.steps[name]?.status;
  const what = status === "succeeded" ? "is delivered to" : "is kept until its step begins in";
  print(flags, run, `Signal ${name} ${what} run ${run.runId}, which is ${statusText(run)}.`);
}

async function redrive(runId: string, { set, skip, by, reason, ...flags }: RedriveFlags): Promise<number> {
  const api = await connect(flags);
  const run = await change(api, runId, "redrive", { set, skip, by, reason });
  if (flags.wait !== undefined) return showEnd(api, run.runId, flags, flags.wait);
  print(flags, run, `Run ${run.runId} goes on. See it with: pawl show ${run.runId}`);
  return 0;
}

async function fork(runId: string, { from, runId: newId, tag: tags, ...flags }: ForkFlags): Promise<number> {
  const api = await connect(flags);
  const { status, body } = await api.post(`${runPath(runId)}/fork`, aStart, { from, runId: newId, tags });
  if (flags.wait !== undefined) return showEnd(api, body.runId, flags, flags.wait);
  const what = status === 202 ? "is started" : `was there already, from the same fork; it is ${statusText(body)}`;
  print(flags, body, `Run ${body.runId} ${what}. See it with: pawl show ${body.runId}`);
  return 0;
}

/** Waits and shows the run. Returns the exit code. @throws {PlainError} when it has not ended in time */
async function showEnd(api: ApiClient, runId: string, flags: ServerFlags, wait: number | true): Promise<number> {
  const waitMs = wait === true ? Infinity : wait;
  const run = await waitForEnd(api, runId, waitMs);
  printRun(run, flags);
  if (!isTerminal(run.status)) {
    const message = `Run ${runId} has not ended within ${formatDuration(waitMs)}; it goes on. See it with: pawl show ${runId}`;
    throw new PlainError(message);
  }
  return run.status === "succeeded" ? 0 : 1;
}

/** One request of the API waits for so long at most. */
const longestRequestMs = 25_000;
/** A server that answers at once, however long it is asked to wait, is not asked more often. */
const pauseMs = 1_000;

async function waitForEnd(api: ApiClient, runId: string, waitMs: number): Promise<RunView> {
  const untilMs = performance.now() + waitMs;
  for (;;) {
    const askedMs = performance.now();
    const leftMs = Math.max(0, Math.min(untilMs - askedMs, longestRequestMs));
    const run = await getRun(api, runId, { waitMs: Math.round(leftMs) });
    const nowMs = performance.now();
    if (isTerminal(run.status) || nowMs >= untilMs) return run;
    await setTimeout(Math.max(0, Math.min(askedMs + pauseMs, untilMs) - nowMs));
  }
}

async function change(api: ApiClient, runId: string, operation: string, body?: unknown): Promise<RunView> {
  return (await api.post(`${runPath(runId)}/${operation}`, aRun, body)).body;
}

async function getWorkflows(api: ApiClient): Promise<readonly WorkflowView[]> {
  const { workflows } = await api.get("/workflows", theWorkflows);
  return settleAll(workflows.map(({ name }) => getWorkflow(api, name)));
}

async function printPayload(flags: ServerFlags, path: string): Promise<void> {
  const body = await (await connect(flags)).get(path, anyJson);
  print(flags, body, printableJson(body, 2));
}

function printRun(run: RunView, flags: ServerFlags): void {
  print(flags, run, runText(run));
}
