/** `pawl bulk`: the same done to many runs, by the server. */
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { type Command, Option } from "commander";
import { createLogUpdate } from "log-update";
import { pathSegment } from "../client/path-segment.ts";
import { PlainError } from "../dev/plain-error.ts";
import { formatCount, printable } from "../dev/text.ts";
import { isTerminal } from "../engine/run-state.ts";
import {
  type OperationAction,
  type OperationEstimate,
  type OperationRequest,
  type OperationView,
  operationActions,
} from "../runtime/operations.ts";
import { anEstimate, anOperation } from "./answers.ts";
import type { ApiClient } from "./api-client.ts";
import { parseCount, parseData, parseWaitMs, readJson } from "./arguments.ts";
import { estimateText, operationText, progressText } from "./bulk-text.ts";
import { type FilterFlags, queryOf, withFilter } from "./filter.ts";
import { connect, print, type ServerFlags, serverCommand, withExamples } from "./server-command.ts";
import { canAsk, canRedraw, confirm } from "./terminal.ts";

interface BulkFlags extends ServerFlags, FilterFlags {
  readonly dryRun?: boolean;
  readonly rate?: number;
  readonly limit?: number;
  readonly operationId?: string;
  readonly yes?: boolean;
  /** `true`: for as long as it takes. */
  readonly wait?: number | true;
}

interface SignalFlags extends BulkFlags {
  readonly payload?: string;
  readonly data?: unknown;
}

type WaitFlags = Pick<BulkFlags, "json" | "wait">;

const descriptions: Readonly<Record<OperationAction, string>> = {
  redrive: "go on with runs that failed, timed out or were cancelled",
  cancel: "end open runs, and undo first what their steps can undo",
  terminate: "end open runs at once, and undo nothing",
  signal: "send open runs a signal",
  purge: "delete runs that have ended, with all that is stored of them",
};

const examples: Readonly<Record<OperationAction, string>> = {
  redrive: "pawl bulk redrive --fingerprint 9f2c41d07be3 --wait",
  cancel: "pawl bulk cancel --workflow order --from 2h --dry-run",
  terminate: "pawl bulk terminate --tag customer=c-1042 --yes",
  signal: `pawl bulk signal approval --data '{"ok":true}' --workflow order`,
  purge: "pawl bulk purge --workflow order --status succeeded --to 30d --rate 100",
};

export function addBulkCommands(program: Command, setExitCode: (code: number) => void): void {
  const bulk = withExamples(program.command("bulk"), "pawl bulk redrive --workflow order --status failed").description(
    "do the same to many runs: as a job of the server, at a bounded rate",
  );
  for (const action of operationActions) {
    const command = serverCommand(bulk, action, examples[action]).description(descriptions[action]);
    if (action === "signal") {
      command
        .argument("<name>", "of the signal: the id of the step that waits for it, or will")
        .option("--payload <file>", "JSON file with the payload, or - for standard input")
        .addOption(new Option("--data <json>", "the payload itself").argParser(parseData).conflicts("payload"));
    }
    withOperation(withFilter(command)).action(async (...given: readonly unknown[]) => {
      // Commander gives the arguments first, then the options.
      const [name, flags] = action === "signal" ? (given as [string, SignalFlags]) : [undefined, given[0] as BulkFlags];
      setExitCode(await begin(requestOf(action, name, flags), flags));
    });
  }
  serverCommand(bulk, "show", "pawl bulk show op-1")
    .description("show how far a bulk operation is, and what failed; with --wait, when it has ended")
    .argument("<operationId>")
    .addOption(waitOption())
    .action(async (operationId: string, flags: ServerFlags & WaitFlags) => {
      const api = await connect(flags);
      const operation = await getOperation(api, operationId);
      setExitCode(await showOperation(api, operation, flags));
    });
  serverCommand(bulk, "abort", "pawl bulk abort op-1")
    .description("let a bulk operation act on no further run; what it has done stays")
    .argument("<operationId>")
    .action(async (operationId: string, flags: ServerFlags) => {
      const { body } = await (await connect(flags)).post(`${operationPath(operationId)}/abort`, anOperation);
      print(flags, body, operationText(body));
    });
}

function withOperation(command: Command): Command {
  return command
    .option("--dry-run", "only count the runs, and estimate what it costs")
    .addOption(new Option("--rate <runs>", "per second (default: 50)").argParser(parseCount(1, 200)))
    .addOption(
      new Option("--limit <runs>", "at most; the others are left alone (default: 50000)").argParser(
        parseCount(1, 50_000),
      ),
    )
    .option("--operation-id <id>", "the same id and request begin one operation, however often it is asked for")
    .option("--yes", "ask nothing; needed where nobody can be asked")
    .addOption(waitOption());
}

function waitOption(): Option {
  return new Option("--wait [duration]", "wait for its end, for so long at most").argParser(parseWaitMs);
}

/** @throws {PlainError} when it names no runs: all of them are hardly ever meant */
function requestOf(action: OperationAction, name: string | undefined, flags: SignalFlags): OperationRequest {
  const filter = queryOf(flags);
  if (Object.keys(filter).length === 0) {
    const message = `bulk ${action} needs to know which runs: --workflow, --status, --from, --to, --tag, --parent or --fingerprint.`;
    throw new PlainError(message, { exitCode: 2 });
  }
  const payload = flags.payload === undefined ? flags.data : readJson(flags.payload, "payload");
  const { rate, limit, operationId } = flags;
  return {
    action,
    filter,
    ...(name === undefined ? {} : { signal: { name, ...(payload === undefined ? {} : { payload }) } }),
    ...(rate === undefined ? {} : { ratePerSecond: rate }),
    ...(limit === undefined ? {} : { limit }),
    ...(operationId === undefined ? {} : { operationId }),
  };
}

/** Returns the exit code. */
async function begin(request: OperationRequest, flags: BulkFlags): Promise<number> {
  const { dryRun = false, yes = false, json = false } = flags;
  if (!dryRun && !yes && !canAsk()) {
    const message = `bulk ${request.action} acts on many runs, and nobody can be asked here: look with --dry-run, then give --yes.`;
    throw new PlainError(message, { exitCode: 2 });
  }
  const api = await connect(flags);
  if (dryRun || !yes) {
    const estimate = await estimateOf(api, request);
    if (dryRun) {
      print(flags, estimate, estimateText(estimate));
      return 0;
    }
    process.stderr.write(`${printable(estimateText(estimate))}\n`);
    if (estimate.runs === 0) {
      if (json) print(flags, estimate, "");
      return 0;
    }
    const runs = `${formatCount(estimate.runs)} ${estimate.runs === 1 ? "run" : "runs"}`;
    if (!(await confirm(`${request.action} ${runs}?`))) {
      process.stderr.write("Nothing is done.\n");
      return 1;
    }
  }
  const { body } = await api.post("/operations", anOperation, request);
  return showOperation(api, body, flags);
}

async function estimateOf(api: ApiClient, request: OperationRequest): Promise<OperationEstimate> {
  return (await api.post("/operations", anEstimate, { ...request, dryRun: true })).body;
}

/** Returns the exit code: of an operation that has ended, 0 when it did all that it was to do. */
async function showOperation(
  api: ApiClient,
  operation: OperationView,
  flags: ServerFlags & WaitFlags,
): Promise<number> {
  const { wait } = flags;
  const shown = wait === undefined ? operation : await waitForOperation(api, operation, flags, wait);
  print(flags, shown, operationText(shown));
  if (!isTerminal(shown.status)) {
    if (wait === undefined) return 0;
    throw new PlainError(
      `The operation has not ended in time; it goes on. See it with: pawl bulk show ${shown.operationId}`,
    );
  }
  return shown.status === "succeeded" && shown.progress.failed === 0 ? 0 : 1;
}

const askEveryMs = 1_000;

async function waitForOperation(
  api: ApiClient,
  begun: OperationView,
  { json = false }: WaitFlags,
  wait: number | true,
): Promise<OperationView> {
  const untilMs = performance.now() + (wait === true ? Infinity : wait);
  // What is printed in the end goes to stdout; how far it is, to whoever watches.
  const draw = !json && canRedraw(process.stderr) ? createLogUpdate(process.stderr, { showCursor: true }) : undefined;
  try {
    let operation = begun;
    while (!isTerminal(operation.status) && performance.now() < untilMs) {
      draw?.(progressText(operation));
      await setTimeout(Math.max(0, Math.min(askEveryMs, untilMs - performance.now())));
      operation = await getOperation(api, begun.operationId);
    }
    return operation;
  } finally {
    draw?.clear();
    draw?.done();
  }
}

function getOperation(api: ApiClient, operationId: string): Promise<OperationView> {
  return api.get(operationPath(operationId), anOperation);
}

function operationPath(operationId: string): string {
  return `/operations/${pathSegment(operationId)}`;
}
