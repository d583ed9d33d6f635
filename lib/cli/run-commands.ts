/** Commands that ask a server: start and watch runs, read their payloads, steer them; show workflows. */
import process from "node:process";
import { type Command, Option } from "commander";
import type { WorkflowView } from "../api/workflow-view.ts";
import { formatDuration } from "../definition/duration.ts";
import { PlainError } from "../dev/plain-error.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { RunView } from "../runtime/run-view.ts";
import { type ApiClient, createApiClient } from "./api-client.ts";
import { parseData, parseList, parseSet, parseTag, parseWaitMs, readJson } from "./arguments.ts";
import { runText, statusText, workflowsText } from "./run-text.ts";

interface ServerFlags {
  readonly url: string;
  readonly json?: boolean;
}

interface WaitFlags extends ServerFlags {
  /** `true`: for as long as it takes. */
  readonly wait?: number | true;
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
  serverCommand(program, "start")
    .description("start a run; with --wait, show how it ended")
    .argument("<workflow>")
    .option("--input <file>", "JSON file with the input, or - for standard input")
    .option("--run-id <id>", "the same id and input start one run, however often it is asked for")
    .option("--tag <key=value>", "short text to find the run by; may be repeated", parseTag)
    .addOption(waitOption())
    .action(async (workflow: string, flags: StartFlags) => {
      setExitCode(await start(workflow, flags));
    });
  serverCommand(program, "show")
    .description("show a run and its steps")
    .argument("<runId>")
    .action(async (runId: string, flags: ServerFlags) => {
      printRun(await getRun(createApiClient(flags.url), runId), flags);
    });
  serverCommand(program, "input")
    .description("print the input of a run as JSON, however large")
    .argument("<runId>")
    .action(async (runId: string, flags: ServerFlags) => {
      await printPayload(flags, `/runs/${encodeURIComponent(runId)}/input`);
    });
  serverCommand(program, "output")
    .description("print the output of a run, or of one of its steps, as JSON, however large")
    .argument("<runId>")
    .argument("[stepId]")
    .action(async (runId: string, stepId: string | undefined, flags: ServerFlags) => {
      const step = stepId === undefined ? "" : `/steps/${encodeURIComponent(stepId)}`;
      await printPayload(flags, `/runs/${encodeURIComponent(runId)}${step}/output`);
    });
  serverCommand(program, "signal")
    .description("send a signal to a run, once")
    .argument("<runId>")
    .argument("<name>", "of the signal: the id of the step that waits for it, or will")
    .option("--payload <file>", "JSON file with the payload, or - for standard input")
    .addOption(new Option("--data <json>", "the payload itself").argParser(parseData).conflicts("payload"))
    .action(async (runId: string, name: string, flags: SignalFlags) => {
      await signal(runId, name, flags);
    });
  serverCommand(program, "redrive")
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
  serverCommand(program, "fork")
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
    serverCommand(program, operation)
      .description(description)
      .argument("<runId>")
      .action(async (runId: string, flags: ServerFlags) => {
        const run = await change(createApiClient(flags.url), runId, operation);
        print(flags, run, `Run ${run.runId} is ${statusText(run)}.`);
      });
  }
  serverCommand(program, "workflows")
    .description("show the workflows of a server and their steps")
    .action(async (flags: ServerFlags) => {
      const workflows = await getWorkflows(createApiClient(flags.url));
      print(flags, { workflows }, workflowsText(workflows));
    });
}

function waitOption(): Option {
  return new Option("--wait [duration]", "wait for the end of the run, for so long at most").argParser(parseWaitMs);
}

function serverCommand(program: Command, name: string): Command {
  return program
    .command(name)
    .addOption(new Option("--url <url>", "of the server").env("PAWL_URL").default("http://127.0.0.1:7070"))
    .option("--json", "print JSON");
}

async function start(workflow: string, flags: StartFlags): Promise<number> {
  const api = createApiClient(flags.url);
  const request = {
    ...(flags.input === undefined ? {} : { input: readJson(flags.input, "input") }),
    ...(flags.runId === undefined ? {} : { runId: flags.runId }),
    ...(flags.tag === undefined ? {} : { tags: flags.tag }),
  };
  const { status, body } = await api.post(`/workflows/${encodeURIComponent(workflow)}/runs`, request);
  const started = body as Pick<RunView, "runId" | "status">;
  const { runId } = started;
  if (flags.wait !== undefined) return showEnd(api, runId, flags, flags.wait);
  const what = status === 202 ? "is started" : `was there already, from the same start; it is ${statusText(started)}`;
  print(flags, body, `Run ${runId} ${what}. See it with: pawl show ${runId}`);
  return 0;
}

async function signal(runId: string, name: string, flags: SignalFlags): Promise<void> {
  const payload = flags.payload === undefined ? flags.data : readJson(flags.payload, "payload");
  const run = await change(createApiClient(flags.url), runId, `signals/${encodeURIComponent(name)}`, payload);
  const status = run.steps[name]?.status;
  const what = status === "succeeded" ? "is delivered to" : "is kept until its step begins in";
  print(flags, run, `Signal ${name} ${what} run ${run.runId}, which is ${statusText(run)}.`);
}

async function redrive(runId: string, { set, skip, by, reason, ...flags }: RedriveFlags): Promise<number> {
  const api = createApiClient(flags.url);
  const run = await change(api, runId, "redrive", { set, skip, by, reason });
  if (flags.wait !== undefined) return showEnd(api, run.runId, flags, flags.wait);
  print(flags, run, `Run ${run.runId} goes on. See it with: pawl show ${run.runId}`);
  return 0;
}

async function fork(runId: string, { from, runId: newId, tag: tags, ...flags }: ForkFlags): Promise<number> {
  const api = createApiClient(flags.url);
  const { status, body } = await api.post(`/runs/${encodeURIComponent(runId)}/fork`, { from, runId: newId, tags });
  const started = body as Pick<RunView, "runId" | "status">;
  if (flags.wait !== undefined) return showEnd(api, started.runId, flags, flags.wait);
  const what = status === 202 ? "is started" : `was there already, from the same fork; it is ${statusText(started)}`;
  print(flags, body, `Run ${started.runId} ${what}. See it with: pawl show ${started.runId}`);
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

async function waitForEnd(api: ApiClient, runId: string, waitMs: number): Promise<RunView> {
  const untilMs = performance.now() + waitMs;
  for (;;) {
    const leftMs = Math.max(0, Math.min(untilMs - performance.now(), longestRequestMs));
    const run = await getRun(api, runId, `?wait=${Math.round(leftMs)}ms`);
    if (isTerminal(run.status) || performance.now() >= untilMs) return run;
  }
}

async function change(api: ApiClient, runId: string, operation: string, body?: unknown): Promise<RunView> {
  return (await api.post(`/runs/${encodeURIComponent(runId)}/${operation}`, body)).body as RunView;
}

async function getRun(api: ApiClient, runId: string, query = ""): Promise<RunView> {
  return (await api.get(`/runs/${encodeURIComponent(runId)}${query}`)).body as RunView;
}

async function getWorkflows(api: ApiClient): Promise<readonly WorkflowView[]> {
  const { workflows } = (await api.get("/workflows")).body as {
    readonly workflows: readonly { readonly name: string }[];
  };
  return Promise.all(
    workflows.map(async ({ name }) => (await api.get(`/workflows/${encodeURIComponent(name)}`)).body as WorkflowView),
  );
}

async function printPayload(flags: ServerFlags, path: string): Promise<void> {
  const { body } = await createApiClient(flags.url).get(path);
  print(flags, body, JSON.stringify(body, undefined, 2));
}

function printRun(run: RunView, flags: ServerFlags): void {
  print(flags, run, runText(run));
}

function print({ json = false }: ServerFlags, value: unknown, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(value, undefined, 2)}\n` : `${text}\n`);
}
