// Whole runs on the embedded engine in virtual time: days pass in milliseconds, and nothing waits for a real clock.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Workflow } from "../../lib/definition/workflow.ts";
import { createEngine, type Engine, startEngine } from "../../lib/embedded/engine.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import type { LifecycleEvent } from "../../lib/engine/lifecycle.ts";
import type { Logger } from "../../lib/runtime/ports.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Harness {
  readonly engine: Engine;
  readonly clock: VirtualClock;
  readonly events: LifecycleEvent[];
  readonly logs: LogLine[];
  /** Lets so many ms pass, and everything that is due by then happen. */
  pass(ms: number): Promise<void>;
  /** Starts a run and lets the time pass; the run as it is then. */
  run<Input>(workflow: Workflow<string, Input>, input: Input, passMs?: number): Promise<RunView>;
  show(runId: string): Promise<RunView>;
}

export async function harness(
  workflows: readonly Workflow[],
  options: { readonly dataDir?: string; readonly clock?: VirtualClock; readonly concurrency?: number } = {},
): Promise<Harness> {
  const clock = options.clock ?? virtualClock();
  const dataDir = options.dataDir ?? (storeOnDisk ? await temporaryFolder() : undefined);
  const logs: LogLine[] = [];
  const events: LifecycleEvent[] = [];
  const logger = recordingLogger(logs);
  const engine =
    onWire === undefined || dataDir !== undefined
      ? await createEngine({ ...options, ...(dataDir === undefined ? {} : { dataDir }), workflows, clock, logger })
      : await startEngine(
          { ...options, workflows, clock, logger },
          await onWire.openDynamoBackend({ clock, logger }, answersAreLost ? onWire.loseAnswers : undefined),
          createMemoryBlobs,
        );
  engine.onEvent((event) => events.push(event));
  onTestFinished(async () => {
    const stopped = engine.stop({ graceMs: 0 });
    await clock.advance(3_000);
    await stopped;
  });
  const pass = (ms: number): Promise<void> => clock.advance(ms);
  const show = (runId: string): Promise<RunView> => engine.commands.get(runId);
  return {
    engine,
    clock,
    events,
    logs,
    pass,
    show,
    run: async (workflow, input, passMs = 0) => {
      const { runId } = await engine.commands.start(workflow.name, { input });
      await pass(passMs);
      return show(runId);
    },
  };
}

/**
 * Whole-run tests run on both embedded stores and on DynamoDB, and must come to the same (R10): see on-sqlite.test.ts and
 * wire/whole-runs.int.test.ts.
 */
const storeOnDisk = process.env.PAWL_TEST_STORE === "sqlite";
const onWire = process.env.PAWL_TEST_STORE === "dynamodb" ? await import("../wire/dynamo-backend.ts") : undefined;

/** Every answer to a write is lost, and the write repeated: a start then finds a run there already, its own. */
export const answersAreLost = process.env.PAWL_TEST_LOST_ANSWERS === "1";

/** SQLite answers in later turns of the event loop than memory does; over the wire, an answer takes as long as it takes. */
export function virtualClock(startMs?: number): VirtualClock {
  return new VirtualClock(startMs, onWire?.atRestOnTheWire ?? (storeOnDisk ? 120 : 5));
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "pawl-behaviour-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function recordingLogger(lines: LogLine[]): Logger {
  const at =
    (level: LogLine["level"]) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push({ level, message, fields });
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Statuses of the run's steps, by id. */
export function statuses(run: RunView): Record<string, string> {
  return Object.fromEntries(Object.entries(run.steps).map(([id, step]) => [id, step.status]));
}

/** A promise and its ends, for code that a test holds up. */
export function gate<T = void>(): { readonly promise: Promise<T>; open(value: T): void } {
  let open: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}
