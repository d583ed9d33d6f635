/** Commands that ask a server: start, show, cancel, pause, resume, workflows. */
import process from "node:process";
import { type Command, Option } from "commander";
import type { WorkflowView } from "../api/workflow-view.ts";
import { formatDuration } from "../definition/duration.ts";
import { PlainError } from "../dev/plain-error.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { RunView } from "../runtime/run-view.ts";
import { type ApiClient, createApiClient } from "./api-client.ts";
import { parseTag, parseWaitMs, readInput } from "./arguments.ts";
import { runText, workflowsText } from "./run-text.ts";

interface ServerFlags {
  readonly url: string;
  readonly json?: boolean;
}

interface StartFlags extends ServerFlags {
  readonly input?: string;
  readonly runId?: string;
  readonly tag?: Readonly<Record<string, string>>;
  /** `true`: for as long as it takes. */
  readonly wait?: number | true;
}

export function addRunCommands(program: Command, setExitCode: (code: number) => void): void {
  serverCommand(program, "start")
    .description("start a run; with --wait, show how it ended")
    .argument("<workflow>")
    .option("--input <file>", "JSON file with the input, or - for standard input")
    .option("--run-id <id>", "the same id and input start one run, however often it is asked for")
    .option("--tag <key=value>", "short text to find the run by; may be repeated", parseTag)
    .addOption(
      new Option("--wait [duration]", "wait for the end of the run, for so long at most").argParser(parseWaitMs),
    )
    .action(async (workflow: string, flags: StartFlags) => {
      setExitCode(await start(workflow, flags));
    });
  serverCommand(program, "show")
    .description("show a run and its steps")
    .argument("<runId>")
    .action(async (runId: string, flags: ServerFlags) => {
      printRun(await getRun(createApiClient(flags.url), runId), flags);
    });
  const operations = {
    cancel: "end a run at once",
    pause: "begin no further steps of a run; steps in flight may end",
    resume: "go on with a paused run",
  };
  for (const [operation, description] of Object.entries(operations)) {
    serverCommand(program, operation)
      .description(description)
      .argument("<runId>")
      .action(async (runId: string, flags: ServerFlags) => {
        const { body } = await createApiClient(flags.url).post(`/runs/${encodeURIComponent(runId)}/${operation}`);
        const run = body as RunView;
        print(flags, run, `Run ${run.runId} is ${run.status.replace("_", " ")}.`);
      });
  }
  serverCommand(program, "workflows")
    .description("show the workflows of a server and their steps")
    .action(async (flags: ServerFlags) => {
      const workflows = await getWorkflows(createApiClient(flags.url));
      print(flags, { workflows }, workflowsText(workflows));
    });
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
    ...(flags.input === undefined ? {} : { input: readInput(flags.input) }),
    ...(flags.runId === undefined ? {} : { runId: flags.runId }),
    ...(flags.tag === undefined ? {} : { tags: flags.tag }),
  };
  const { status, body } = await api.post(`/workflows/${encodeURIComponent(workflow)}/runs`, request);
  const { runId, status: runStatus } = body as Pick<RunView, "runId" | "status">;
  if (flags.wait === undefined) {
    const what =
      status === 202 ? "is started" : `was there already, from the same start; it is ${runStatus.replace("_", " ")}`;
    print(flags, body, `Run ${runId} ${what}. See it with: pawl show ${runId}`);
    return 0;
  }
  const waitMs = flags.wait === true ? Infinity : flags.wait;
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

function printRun(run: RunView, flags: ServerFlags): void {
  print(flags, run, runText(run));
}

function print({ json = false }: ServerFlags, value: unknown, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(value, undefined, 2)}\n` : `${text}\n`);
}
