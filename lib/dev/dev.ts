/** `pawl dev`: serves the workflows of one file on an embedded engine, and shows what their runs do. */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { createRunMeter, type RunMeter } from "../cost/run-meter.ts";
import { createEngine, createEngineWith, type Engine } from "../embedded/engine.ts";
import { StorageError } from "../embedded/storage-error.ts";
import { withinMs } from "../runtime/attempt.ts";
import { PawlError } from "../runtime/errors.ts";
import type { RunView } from "../runtime/run-view.ts";
import { systemClock } from "../runtime/system.ts";
import { UnderWay } from "../runtime/under-way.ts";
import { answerHints, redriveHints } from "./answer-hints.ts";
import { banner } from "./banner.ts";
import { createCostLines } from "./cost-lines.ts";
import { type Demo, type DemoOptions, readDemo } from "./demo.ts";
import { createDisplay, type Display } from "./display.ts";
import { type DevServer, startDevServer } from "./http-server.ts";
import { type LoadedWorkflows, loadWorkflows } from "./load-workflows.ts";
import { PlainError } from "./plain-error.ts";
import { createRunFeed } from "./run-feed.ts";
import { openServerLog, type ServerLog } from "./server-log.ts";
import { onStopSignal } from "./stop-signals.ts";
import { formatCompensation, formatError, oneLine, printable, printableJson } from "./text.ts";
import { markUserLogs } from "./user-logs.ts";

export interface DevOptions {
  readonly file: string;
  readonly port: number;
  readonly host: string;
  readonly dataDir: string;
  /** Steps that run at the same time. */
  readonly concurrency?: number;
  readonly demo?: DemoOptions;
  /** Ends with the demo's run. */
  readonly once: boolean;
  /** Counts what runs would cost on AWS. */
  readonly cost: boolean;
}

/** Steps get this long to end when the server stops. */
const stopGraceMs = 5_000;
/** Whatever hangs after that is left behind: the store is safe at any moment. */
const stopBoundMs = 10_000;

/** Serves until a signal comes, or with `once` until the demo's run has ended. Returns the exit code. @throws {PlainError} */
export async function dev(options: DevOptions): Promise<number> {
  const startedAtMs = Date.now();
  const loaded = await loadWorkflows(options.file);
  const demo = options.demo === undefined ? undefined : readDemo(options.demo, loaded.workflows);
  const dataDir = resolve(options.dataDir);
  makeDataDir(dataDir);
  const display = createDisplay(process.stdout, process.env);
  const underWay = new UnderWay();
  const meter = options.cost ? createRunMeter() : undefined;
  try {
    const log = openServerLog(dataDir, (entry) => display.log(entry));
    reportStrayErrors(log, display);
    const server = await startDevServer({
      engine: (url) => startEngine({ ...options, dataDir, url, underWay, meter }, loaded, log, display, startedAtMs),
      port: options.port,
      host: options.host,
      logger: log,
      ...(meter === undefined ? {} : { costOf: (runId) => meter.costOf(runId) }),
    });
    const inputFile = demo?.workflow === loaded.workflows[0] ? options.demo?.inputFile : undefined;
    display.print(
      banner({
        ...options,
        ...loaded,
        url: server.url,
        dataDir,
        log: log.file,
        ...(inputFile === undefined ? {} : { inputFile }),
      }),
    );
    return await serve(server, demo, options.once, display, underWay);
  } finally {
    await underWay.ended();
    display.close();
  }
}

async function startEngine(
  options: Pick<DevOptions, "concurrency" | "dataDir"> & {
    readonly url: string;
    readonly underWay: UnderWay;
    readonly meter: RunMeter | undefined;
  },
  { workflows, taskQueues, webhooks }: LoadedWorkflows,
  logger: ServerLog,
  display: Display,
  startedAtMs: number,
): Promise<Engine> {
  const { dataDir, concurrency, url, underWay, meter } = options;
  const engineOptions = {
    workflows: workflows.map(markUserLogs),
    taskQueues,
    webhooks,
    dataDir,
    logger,
    ...(concurrency === undefined ? {} : { concurrency }),
  };
  try {
    const engine = await (meter === undefined
      ? createEngine(engineOptions)
      : createEngineWith(engineOptions, meter.between));
    const tellCost =
      meter === undefined
        ? () => undefined
        : createCostLines({ meter, print: (line) => display.print(line), clock: systemClock(), logger, underWay });
    // Those that are only started as children, too.
    const served = engine.commands.workflows();
    engine.onUpdate(
      createRunFeed({
        workflows: served,
        loadStepIds: async (runId) => Object.keys((await engine.commands.get(runId)).steps),
        startedAtMs,
        underWay,
        deliver: (update) => {
          display.update(update);
          for (const hint of [...answerHints(update, served, url), ...redriveHints(update, url)]) {
            display.print(hint);
          }
          tellCost(update);
        },
      }),
    );
    return engine;
  } catch (error) {
    if (error instanceof StorageError) {
      throw new PlainError(`${error.message} (pawl dev takes it with --data-dir <folder>.)`, { cause: error });
    }
    throw error;
  }
}

async function serve(
  server: DevServer,
  demo: Demo | undefined,
  once: boolean,
  display: Display,
  underWay: UnderWay,
): Promise<number> {
  const stopped = new Promise<"stopped">((resolve) => {
    onStopSignal((signal) => {
      const grace = `Steps get ${stopGraceMs / 1000} s to end`;
      display.print(`${signal}: stopping. ${grace}; a second signal exits at once.`);
      resolve("stopped");
    });
  });
  let exitCode = 1;
  try {
    const demoEnd = demo === undefined ? undefined : runDemo(server.engine, demo, display);
    const first = await Promise.race([stopped, ...(once && demoEnd !== undefined ? [demoEnd] : [])]);
    if (first === "stopped" && once) {
      display.print("The run has not ended; it goes on at the next start on the same data directory.");
    }
    exitCode = first === "stopped" ? Number(once) : Number(!first);
    // What is still to be told of the run needs the engine.
    if (first !== "stopped") await underWay.ended();
    return exitCode;
  } finally {
    await stop(server, display, exitCode);
  }
}

async function stop(server: DevServer, display: Display, exitCode: number): Promise<void> {
  const stopped = server
    .close()
    .then(() => server.engine.stop({ graceMs: stopGraceMs }))
    .then(() => true);
  if ((await withinMs(systemClock(), stopBoundMs, stopped)) === true) return;
  display.print(`Not everything ended within ${stopBoundMs / 1000} s; it is left as it is. Nothing stored is lost.`);
  display.close();
  process.exit(exitCode);
}

/** Whether the run succeeded. */
async function runDemo(engine: Engine, { workflow, input }: Demo, display: Display): Promise<boolean> {
  try {
    const { runId } = await engine.commands.start(workflow.name, { input });
    display.print(`Run ${runId} of ${workflow.name} is started.`);
    const run = await engine.waitForEnd(runId);
    display.print(describeEnd(run));
    return run.status === "succeeded";
  } catch (error) {
    if (!(error instanceof PawlError)) throw error;
    display.print(`The demo could not be run: ${printable(error.message)}`);
    return false;
  }
}

function describeEnd({ runId, status, error, output, compensation }: RunView): string {
  if (status === "succeeded") {
    return `Run ${runId} succeeded. Output: ${output === undefined ? "none" : printableJson(output, 2)}`;
  }
  const why =
    error === undefined
      ? ""
      : ` ${oneLine(formatError(error))}${error.step === undefined ? "" : ` (step ${error.step})`}`;
  return `Run ${runId} ended as ${status}${formatCompensation(compensation)}.${why}`;
}

function makeDataDir(dataDir: string): void {
  try {
    // Inputs and outputs lie there: other users of the machine have no business with them.
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    const message = `The data directory ${dataDir} cannot be created: ${(error as Error).message}. Choose another one with --data-dir.`;
    throw new PlainError(message, { cause: error });
  }
}

/** A promise that a step's code forgot must not take the other runs down; after a stray exception nothing is certain. */
function reportStrayErrors(log: ServerLog, display: Display): void {
  process.on("unhandledRejection", (error) => {
    log.error("a promise was rejected and nobody awaited it; await it in its step, or pass it to background()", {
      error,
    });
  });
  process.on("uncaughtException", (error) => {
    log.error("an exception that nobody caught ends the server; its runs go on at the next start", { error });
    display.close();
    process.exit(1);
  });
}
