/**
 * The embedded engine in memory and in virtual time, for tests of workflows: thirty days pass in milliseconds, steps can
 * be replaced, and what happened is told in an order that is the same each time.
 *
 * Invariants:
 * 1. Virtual time passes only when it is asked for, and never while the code of a step is at work.
 * 2. Whatever is read is read when all that needs no time has happened.
 */
import { type Duration, durationForm, parseDuration } from "../definition/duration.ts";
import { instantForm, parseInstant } from "../definition/instant.ts";
import { reachableWorkflows } from "../definition/reachable.ts";
import type { Workflow } from "../definition/workflow.ts";
import { type Between, type Engine, startEngine } from "../embedded/engine.ts";
import { createMemoryBackend } from "../embedded/memory-backend.ts";
import { createMemoryBlobs } from "../embedded/memory-blobs.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { Commands, StartArguments } from "../runtime/commands.ts";
import type { Logger } from "../runtime/ports.ts";
import type { Queries } from "../runtime/queries.ts";
import type { TaskQueueOptions } from "../runtime/task-queues.ts";
import { callCode, invoke, patienceOf, waitOn } from "./call-code.ts";
import { Calls } from "./calls.ts";
import { Histories } from "./histories.ts";
import { instrument } from "./instrument.ts";
import { type AnyMocks, compileMocks, type Mocks } from "./mocks.ts";
import { RunningCode } from "./running-code.ts";
import { seededRandomness } from "./seeded-randomness.ts";
import { silent } from "./silent.ts";
import { skipTime } from "./skip-time.ts";
import { TestError } from "./test-error.ts";
import { createTestRun, type TestRun, type TestRunParts } from "./test-run.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { awaitedActs } from "./waits.ts";

export interface TestEngineOptions<Workflows extends readonly Workflow[]> {
  /** Those to be tested. Workflows that they start as children come along. */
  readonly workflows: Workflows;
  /**
   * Code that stands in for that of steps, by workflow and step: `{ order: { charge: { fails: new Error("busy"), times: 2 } } }`.
   * The graph stays as it is: conditions, retries, timeouts and compensations are the real ones. The compiler knows the
   * steps that lead to the workflow's output.
   *
   * @default none: all steps run their own code
   */
  readonly mock?: Mocks<Workflows>;
  /**
   * The same for what the compiler does not know: steps that lead to no output of their workflow, and workflows that only
   * come along as children. What they return is not checked before they run. @default none
   */
  readonly mockOther?: Readonly<Record<string, AnyMocks>>;
  /** Virtual time at the beginning. @default "2026-01-01T00:00:00Z" */
  readonly startTime?: string | Date;
  /** Of the randomness in pauses with jitter: the same seed makes the same pauses. @default 1 */
  readonly seed?: number;
  /**
   * How long, in real time, virtual time waits for code that does not return. Then it goes on, and the step's timeout
   * fires. @default the limit of the attempt, which is a minute unless the step says otherwise
   */
  readonly patience?: Duration;
  /** As for `createEngine`. */
  readonly taskQueues?: Readonly<Record<string, TaskQueueOptions>>;
  /** @default nothing is logged */
  readonly logger?: Logger;
}

export interface TestEngine extends AsyncDisposable {
  /**
   * Starts a run of the workflow, with an input of its type. Its id is the workflow's name and a number, unless one is given.
   *
   * @throws {PawlError} as `Commands.start` does
   */
  start<Input, Output, Code>(
    workflow: Workflow<string, Input, Output, Code>,
    ...request: StartArguments<Input>
  ): Promise<TestRun<Output, Code>>;
  /** A run that the test did not start itself: a child (`order-1~ship`), a fork, or one that a schedule started. */
  run(runId: string): TestRun;
  /** Lets time pass, with all that is due by then: `"3d"`, or so many ms. @throws {TestError} when it is neither */
  advance(time: Duration | number): Promise<void>;
  /** Virtual time. */
  now(): Date;
  /** What users do to runs: pause, resume, cancel, terminate, redrive, fork, purge. */
  readonly commands: Commands;
  /** Finds runs and counts them. */
  readonly queries: Queries;
  /** Ends the engine. `await using engine = await createTestEngine(…)` does it by itself. */
  stop(): Promise<void>;
}

/**
 * An engine that runs workflows in memory and in virtual time.
 *
 * @throws {TestError} naming all mocks that fit no step; or for a start time, patience or seed that is none
 */
export async function createTestEngine<const Workflows extends readonly Workflow[]>(
  options: TestEngineOptions<Workflows>,
): Promise<TestEngine> {
  return startTestEngine(options, { backend: (own) => own, blobs: (own) => own });
}

/** The same, with something in between. */
export async function startTestEngine<const Workflows extends readonly Workflow[]>(
  options: TestEngineOptions<Workflows>,
  between: Between,
): Promise<TestEngine> {
  const { workflows, mock = {}, mockOther = {}, taskQueues, logger = silent } = options;
  const running = new RunningCode();
  const clock = new VirtualClock(startMsOf(options.startTime), running.rest);
  const known = reachableWorkflows(workflows);
  const histories = new Histories(known, clock);
  const calls = new Calls();
  const tokens = new Map<string, string>();
  const wait = (ms: number, signal: AbortSignal): Promise<void> => waitOn(clock, ms, signal);
  const mockOf = compileMocks(workflows, [mock, mockOther], wait);
  const patienceMs = patienceOf(options.patience);
  const limitOf = (timeoutMs: number): number => Math.min(timeoutMs, patienceMs);
  const watched = instrument(workflows, {
    attempt: (site, context, own) => {
      if ("token" in context) tokens.set(`${context.runId}/${site.step}`, String(context.token));
      return calls.record(site, context, () => callCode(running, mockOf(site), limitOf(site.timeoutMs), context, own));
    },
    view: (timeoutMs, own) => running.track(invoke(own), limitOf(timeoutMs)),
  });
  const backend = createMemoryBackend({ clock, logger });
  const random = seededRandomness(seedOf(options.seed));
  const engine = await startEngine(
    { workflows: watched, ...(taskQueues === undefined ? {} : { taskQueues }), logger, clock, random },
    backend,
    () => createMemoryBlobs(),
    { ...between, backend: (own, at) => histories.watch(between.backend(own, at)) },
  );
  return new VirtualEngine(engine, { clock, running, histories, calls, tokens });
}

type Parts = Pick<TestRunParts, "histories" | "calls" | "tokens"> & {
  readonly clock: VirtualClock;
  readonly running: RunningCode;
};

class VirtualEngine implements TestEngine {
  readonly commands: Commands;
  readonly queries: Queries;
  readonly #engine: Engine;
  readonly #parts: Parts;
  readonly #started = new Map<string, number>();

  constructor(engine: Engine, parts: Parts) {
    this.#engine = engine;
    this.#parts = parts;
    this.commands = engine.commands;
    this.queries = engine.queries;
  }

  async start<Input, Output, Code>(
    workflow: Workflow<string, Input, Output, Code>,
    ...[request]: StartArguments<Input>
  ): Promise<TestRun<Output, Code>> {
    const number = (this.#started.get(workflow.name) ?? 0) + 1;
    const { runId } = await this.commands.start(workflow.name, { runId: `${workflow.name}-${number}`, ...request });
    this.#started.set(workflow.name, number);
    return this.#runOf<Output, Code>(runId);
  }

  run(runId: string): TestRun {
    return this.#runOf(runId);
  }

  #runOf<Output, Code>(runId: string): TestRun<Output, Code> {
    const { histories, calls, tokens, running } = this.#parts;
    return createTestRun<Output, Code>(runId, {
      commands: this.commands,
      histories,
      calls,
      tokens,
      rest: running.rest,
      toEnd: () => this.#toEnd(runId),
    });
  }

  async advance(time: Duration | number): Promise<void> {
    const ms = typeof time === "number" ? time : parseDuration(time);
    if (ms === undefined || !(ms >= 0))
      throw new TestError(`advance was given ${JSON.stringify(time)}; allowed is ${durationForm}, or a number of ms.`);
    await this.#parts.clock.advance(ms);
  }

  now(): Date {
    return new Date(this.#parts.clock.now());
  }

  async #toEnd(runId: string): Promise<void> {
    const { clock, histories } = this.#parts;
    const show = (id: string) => this.commands.get(id);
    let looked = -1;
    await skipTime(clock, timesMost, async (isLast) => {
      const run = histories.run(runId);
      if (run !== undefined && isTerminal(run.status)) return true;
      // What somebody has to do changes only with a write.
      if (looked === histories.writes() && !isLast) return false;
      looked = histories.writes();
      const acts = await awaitedActs(await show(runId), show);
      if (acts.length > 0) throw new TestError(acts.map(({ message }) => message).join("\n"));
      return false;
    });
  }

  async stop(): Promise<void> {
    const stopped = this.#engine.stop({ graceMs: 0 });
    await this.#parts.clock.advance(1);
    await stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** A poll of one minute is looked at for some days. */
const timesMost = 10_000;

function startMsOf(startTime: string | Date | undefined): number | undefined {
  const startMs = startTime === undefined ? undefined : parseInstant(startTime);
  if (startTime !== undefined && startMs === undefined)
    throw new TestError(`startTime is ${JSON.stringify(startTime)}; allowed is ${instantForm}.`);
  return startMs;
}

function seedOf(seed = 1): number {
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed;
  throw new TestError(`seed is ${seed}; allowed is a whole number from 0 to ${2 ** 32 - 1}.`);
}
