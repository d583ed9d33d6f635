/** Collects the steps of one definition, and every fault in them, into a graph and the code that goes with it. */
import type * as z from "zod";
import type {
  AnyCallbackOptions,
  AnyChildOptions,
  AnyMapOptions,
  AnyOptions,
  AnyPollOptions,
  AnySignalOptions,
  AnySleepOptions,
  AnyStepOptions,
} from "./any-options.ts";
import { findContradictions } from "./contradictions.ts";
import type { Duration } from "./duration.ts";
import { DefinitionError } from "./errors.ts";
import { type Concurrency, type ConcurrencyOptions, compileConcurrency } from "./flow.ts";
import {
  type CodeStep,
  type DependencyKind,
  fingerprint,
  type Graph,
  type GraphStep,
  type MapStep,
  type RetryPolicy,
} from "./graph.ts";
import { limits } from "./limits.ts";
import type { MapCode } from "./map.ts";
import { isCount, isName, isSystemName, nameForm, OptionChecks, systemPrefix } from "./option-checks.ts";
import { stepOptions, workflowOptions } from "./option-kinds.ts";
import { defaultRetry, type RetryOptions } from "./retry.ts";
import { type AnyScheduleOptions, compileSchedule, type Schedule } from "./schedule.ts";
import { shown } from "./shown.ts";
import type { StepCode, StepRef, StepRefs } from "./step.ts";

interface Defaults {
  readonly input?: z.ZodType | undefined;
  readonly timeout?: Duration;
  readonly retention?: Duration;
  readonly concurrency?: ConcurrencyOptions<never>;
  readonly schedule?: AnyScheduleOptions;
  readonly defaults?: { readonly retry?: RetryOptions; readonly timeout?: Duration };
}

/** What the engine knows of a step, whatever its kind. */
type Base = Omit<CodeStep, "kind" | "retry">;

const defaultStepTimeoutMs = 60_000;

export class DefinitionBuilder {
  readonly #name: string;
  readonly #input: z.ZodType | undefined;
  readonly #options: Defaults;
  readonly #checks = new OptionChecks();
  readonly #steps: GraphStep[] = [];
  readonly #code = new Map<string, StepCode>();
  readonly #indexOf = new Map<StepRef, number>();
  readonly #retry: RetryPolicy;
  readonly #timeoutMs: number;
  #finished = false;

  constructor(name: string, given: Defaults, isOurs: boolean) {
    this.#name = name;
    const options = workflowOptions(given, (option, message) => this.#checks.fault(option, message));
    this.#options = options;
    this.#input = options.input;
    if (!isName(name)) this.#checks.fault("name", `is ${shown(name)}; allowed is ${nameForm}.`);
    if (isSystemName(name) && !isOurs) {
      const message = `is ${shown(name)}; names that begin with "${systemPrefix}" are kept for Pawl's own workflows. Choose another one.`;
      this.#checks.fault("name", message);
    }
    const { retry, timeout } = options.defaults ?? {};
    this.#retry = this.#checks.retry("defaults", defaultRetry, retry);
    this.#timeoutMs = this.#checks.duration("defaults: timeout", timeout, limits.stepTimeoutMs) ?? defaultStepTimeoutMs;
  }

  readonly step = (id: string, given: AnyStepOptions): StepRef => {
    const { at, options } = this.#begin("step", id, given);
    if (typeof options.run !== "function") this.#checks.fault(at, "has no run function; give it one.");
    const { defaults } = this.#options;
    const { startAt } = options;
    const base = this.#base(id, at, options);
    const startAtMs = this.#checks.instant(`${at}: startAt`, startAt);
    const timeoutMs = this.#checks.duration(`${at}: timeout`, options.timeout, limits.stepTimeoutMs) ?? this.#timeoutMs;
    const undo = this.#checks.compensation(at, options.compensate, timeoutMs);
    const heartbeatMs = this.#checks.heartbeat(at, options.heartbeatTimeout, timeoutMs);
    const graph: GraphStep = {
      ...base,
      kind: "step",
      retry: this.#checks.retry(at, this.#retry, options.retry),
      timeoutMs,
      ...(undo === undefined ? {} : { compensate: undo.graph }),
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
      ...(startAtMs === undefined ? {} : { startAtMs }),
      ...(typeof startAt === "function" ? { hasStartAt: true } : {}),
      ...idempotentOf(options),
    };
    const isRetryable = options.retry?.isRetryable ?? defaults?.retry?.isRetryable;
    const { run, output } = options;
    return this.#add(id, graph, {
      kind: "step",
      ...whenOf(options),
      run,
      ...(undo === undefined ? {} : { compensate: undo.code }),
      ...this.#checks.rateLimit(at, options),
      ...(typeof startAt === "function" ? { startAt } : {}),
      ...(isRetryable === undefined ? {} : { isRetryable }),
      ...(output === undefined ? {} : { output }),
    });
  };

  readonly poll = (id: string, given: AnyPollOptions): StepRef => {
    const { at, options } = this.#begin("poll", id, given);
    if (typeof options.run !== "function") this.#checks.fault(at, "has no run function; give it one.");
    if (typeof options.until !== "function") this.#checks.fault(at, "has no until function; give it one.");
    const { run, until, output, isRetryable, interval, timeout, maxAttempts } = options;
    if (timeout === undefined && maxAttempts === undefined) {
      this.#checks.fault(at, "says neither timeout nor maxAttempts; give it one of them (Infinity polls for ever).");
    }
    const base = this.#base(id, at, options);
    const limit = maxAttempts === undefined ? {} : { maxAttempts };
    const timeoutMs = this.#checks.duration(`${at}: timeout`, timeout, limits.delayMs);
    const attemptMs =
      this.#checks.duration(`${at}: attemptTimeout`, options.attemptTimeout, limits.stepTimeoutMs) ?? this.#timeoutMs;
    const undo = this.#checks.compensation(at, options.compensate, attemptMs);
    const graph: GraphStep = {
      ...base,
      kind: "step",
      retry: this.#checks.retry(at, waiting, { ...limit, backoff: interval }),
      timeoutMs: attemptMs,
      ...(undo === undefined ? {} : { compensate: undo.graph }),
      poll: timeoutMs === undefined ? {} : { timeoutMs },
      ...idempotentOf(options),
    };
    return this.#add(id, graph, {
      kind: "step",
      ...whenOf(options),
      run,
      until,
      ...this.#checks.rateLimit(at, options),
      ...(undo === undefined ? {} : { compensate: undo.code }),
      ...(isRetryable === undefined ? {} : { isRetryable }),
      ...(output === undefined ? {} : { output }),
    });
  };

  readonly callback = (id: string, given: AnyCallbackOptions): StepRef => {
    const { at, options } = this.#begin("callback", id, given);
    if (typeof options.run !== "function") this.#checks.fault(at, "has no run function; give it one.");
    const { run, output } = options;
    const waitMs = this.#checks.duration(`${at}: timeout`, options.timeout, limits.delayMs);
    const heartbeatMs = this.#checks.heartbeat(at, options.heartbeatTimeout, waitMs);
    const attemptMs = this.#checks.duration(`${at}: attemptTimeout`, options.attemptTimeout, limits.stepTimeoutMs);
    const timeoutMs = attemptMs ?? this.#timeoutMs;
    const undo = this.#checks.compensation(at, options.compensate, timeoutMs);
    const graph: GraphStep = {
      ...this.#base(id, at, options),
      kind: "callback",
      retry: this.#checks.retry(at, this.#retry, options.retry),
      timeoutMs,
      ...(undo === undefined ? {} : { compensate: undo.graph }),
      ...(waitMs === undefined ? {} : { waitMs }),
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
    };
    const isRetryable = options.retry?.isRetryable ?? this.#options.defaults?.retry?.isRetryable;
    return this.#add(id, graph, {
      kind: "callback",
      ...whenOf(options),
      run,
      ...(undo === undefined ? {} : { compensate: undo.code }),
      ...(isRetryable === undefined ? {} : { isRetryable }),
      ...(output === undefined ? {} : { output }),
    });
  };

  readonly signal = (id: string, given: AnySignalOptions = {}): StepRef => {
    const { at, options } = this.#begin("signal", id, given);
    const waitMs = this.#checks.duration(`${at}: timeout`, options.timeout, limits.delayMs);
    const graph: GraphStep = {
      ...this.#base(id, at, options),
      retry: waiting,
      kind: "signal",
      onTimeout: this.#checks.onTimeout(at, options),
      ...(waitMs === undefined ? {} : { waitMs }),
    };
    const { payload } = options;
    return this.#add(id, graph, { kind: "signal", ...whenOf(options), ...(payload === undefined ? {} : { payload }) });
  };

  readonly sleep = (id: string, given: AnySleepOptions): StepRef => {
    const { at, options } = this.#begin("sleep", id, given);
    const { duration, until } = options;
    if ((duration === undefined) === (until === undefined)) {
      this.#checks.fault(at, "says neither or both of duration and until; give it one of them.");
    }
    const durationMs = this.#checks.duration(`${at}: duration`, duration, limits.delayMs);
    const graph: GraphStep = {
      ...this.#base(id, at, options),
      retry: waiting,
      kind: "sleep",
      ...(durationMs === undefined ? {} : { durationMs }),
    };
    return this.#add(id, graph, { kind: "sleep", ...whenOf(options), ...(until === undefined ? {} : { until }) });
  };

  readonly child = (id: string, given: AnyChildOptions): StepRef => {
    const { at, options } = this.#begin("child", id, given);
    const { input, whenParentEnds = "cancel" } = options;
    const workflow = this.#checks.workflow(`${at}: workflow`, options.workflow);
    if (input !== undefined && typeof input !== "function") {
      this.#checks.fault(`${at}: input`, "is no function; give it one that returns the child's input.");
    }
    if (!["cancel", "leave"].includes(whenParentEnds)) {
      const allowed = 'allowed are "cancel" and "leave"';
      this.#checks.fault(`${at}: whenParentEnds`, `is ${shown(whenParentEnds)}; ${allowed}.`);
    }
    const undo = this.#checks.compensation(at, options.compensate, this.#timeoutMs);
    const graph: GraphStep = {
      ...this.#base(id, at, options),
      retry: waiting,
      kind: "child",
      whenParentEnds,
      ...(undo === undefined ? {} : { compensate: undo.graph }),
    };
    return this.#add(id, graph, {
      kind: "child",
      ...whenOf(options),
      workflow,
      ...(undo === undefined ? {} : { compensate: undo.code }),
      ...(input === undefined ? {} : { input }),
    });
  };

  readonly map = (id: string, given: AnyMapOptions): StepRef => {
    const { at, options } = this.#begin("map", id, given);
    const { items, concurrency } = options;
    if (typeof items !== "function") this.#checks.fault(at, "has no items function; give it one that returns a list.");
    if ("run" in options && "each" in options) this.#checks.fault(at, "says both run and each; give it one of them.");
    if (concurrency !== undefined && !isCount(concurrency, 1)) {
      this.#checks.fault(`${at}: concurrency`, `is ${shown(concurrency)}; allowed are 1 to ${limits.mapItems}.`);
    }
    const item = this.#item(at, options);
    const graph: GraphStep = {
      ...this.#base(id, at, options),
      retry: waiting,
      kind: "map",
      item: item.graph,
      ...(concurrency === undefined ? {} : { concurrency }),
      tolerated: this.#checks.tolerance(at, options.toleratedFailures),
      shardItems: limits.shardItems,
      fanOut: limits.shardFanOut,
    };
    return this.#add(id, graph, { kind: "map", ...whenOf(options), items, item: item.code });
  };

  finish(output: StepRef | undefined): {
    readonly name: string;
    readonly graph: Graph;
    readonly fingerprint: string;
    readonly inputSchema: z.ZodType | undefined;
    readonly code: ReadonlyMap<string, StepCode>;
    readonly concurrency: Concurrency | undefined;
    readonly schedule: Schedule | undefined;
  } {
    this.#finished = true;
    if (this.#steps.length === 0) this.#checks.fault("workflow", "has no steps; add at least one with w.step(…).");
    if (this.#steps.length > limits.stepsPerWorkflow) {
      this.#checks.fault(
        "workflow",
        `has ${this.#steps.length} steps; at most ${limits.stepsPerWorkflow} are allowed.`,
      );
    }
    const [outputIndex] = output === undefined ? [] : this.#resolve("returned step", [output]);
    const timeoutMs = this.#checks.duration("timeout", this.#options.timeout, limits.delayMs);
    const { retentionLeastMs, retentionMostMs } = limits;
    const retentionMs =
      this.#checks.duration("retention", this.#options.retention, retentionMostMs, retentionLeastMs) ??
      limits.retentionMs;
    const graph: Graph = {
      schema: 1,
      workflow: this.#name,
      steps: this.#steps,
      ...(outputIndex === undefined ? {} : { output: outputIndex }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    const { concurrency: most, schedule: times } = this.#options;
    const concurrency =
      most &&
      compileConcurrency(most, (option, message) => {
        this.#checks.fault(`concurrency.${option}`, message);
      });
    const schedule =
      times &&
      compileSchedule(times, this.#input, (option, message) => {
        this.#checks.fault(option, message);
      });
    this.#checks.faults.push(...findContradictions(graph));
    if (this.#checks.faults.length > 0) throw new DefinitionError(this.#name, this.#checks.faults);
    deepFreeze(graph);
    if (schedule !== undefined) deepFreeze(schedule);
    return Object.freeze({
      name: this.#name,
      graph,
      fingerprint: fingerprint(graph),
      inputSchema: this.#input,
      code: this.#code,
      concurrency: concurrency && Object.freeze(concurrency),
      schedule,
      retentionMs,
    });
  }

  #item(at: string, options: AnyMapOptions): { readonly graph: MapStep["item"]; readonly code: MapCode["item"] } {
    if ("each" in options) {
      return {
        graph: { kind: "child" },
        code: { kind: "child", workflow: this.#checks.workflow(`${at}: each`, options.each) },
      };
    }
    const { run, retry, timeout, output } = options;
    if (typeof run !== "function") this.#checks.fault(at, "has no run function; give it one, or a workflow as each.");
    const timeoutMs = this.#checks.duration(`${at}: timeout`, timeout, limits.stepTimeoutMs) ?? this.#timeoutMs;
    const isRetryable = retry?.isRetryable ?? this.#options.defaults?.retry?.isRetryable;
    return {
      graph: { kind: "step", retry: this.#checks.retry(at, this.#retry, retry), timeoutMs, ...idempotentOf(options) },
      code: {
        kind: "step",
        run,
        ...(isRetryable === undefined ? {} : { isRetryable }),
        ...(output === undefined ? {} : { output }),
      },
    };
  }

  #begin<Options extends AnyOptions>(kind: string, id: string, given: Options): { at: string; options: Options } {
    const at = `${kind} ${shown(id)}`;
    if (this.#finished) {
      const message = "is added after the definition was built; add all steps before the build function returns.";
      throw new DefinitionError(this.#name, [{ at, message }]);
    }
    if (!isName(id)) this.#checks.fault(at, `has an id that is not allowed; allowed is ${nameForm}.`);
    if (this.#code.has(id)) this.#checks.fault(at, "is defined twice; ids are unique within a workflow.");
    return { at, options: stepOptions(given, (option, message) => this.#checks.fault(`${at}: ${option}`, message)) };
  }

  #add(id: string, step: GraphStep, code: StepCode): StepRef {
    const ref: StepRef = Object.freeze({ id });
    this.#indexOf.set(ref, this.#steps.length);
    this.#steps.push(step);
    this.#code.set(id, code);
    return ref;
  }

  #base(id: string, at: string, options: AnyOptions): Base {
    const { taskQueue = "default", onFailure = "fail" } = options;
    if (!isName(taskQueue)) this.#checks.fault(`${at}: taskQueue`, `is ${shown(taskQueue)}; allowed is ${nameForm}.`);
    if (!["fail", "continue"].includes(onFailure)) {
      this.#checks.fault(`${at}: onFailure`, `is ${shown(onFailure)}; allowed are "fail" and "continue".`);
    }
    const resolve = (kind: DependencyKind): number[] => this.#resolve(`${at}: ${kind}`, options[kind] ?? []);
    const delayMs = this.#checks.duration(`${at}: delay`, options.delay, limits.delayMs);
    return {
      id,
      after: resolve("after"),
      afterAny: resolve("afterAny"),
      afterFailed: resolve("afterFailed"),
      afterSettled: resolve("afterSettled"),
      taskQueue,
      onFailure,
      timeoutMs: defaultStepTimeoutMs,
      ...(delayMs === undefined ? {} : { delayMs }),
      ...(options.skipWithDependency === true ? { skipWithDependency: true } : {}),
      ...(options.when === undefined ? {} : { hasWhen: true }),
    };
  }

  #resolve(at: string, refs: StepRefs): number[] {
    const indexes = new Set<number>();
    for (const ref of refs) {
      const index = this.#indexOf.get(ref);
      // Values of another workflow, and of plain JavaScript callers, get past the compiler.
      const named = shown((ref as StepRef | undefined)?.id ?? ref);
      if (index === undefined) this.#checks.fault(at, `refers to ${named}, which is not a step of this workflow.`);
      else if (indexes.has(index)) this.#checks.fault(at, `names ${named} twice.`);
      else indexes.add(index);
    }
    return [...indexes];
  }
}

/** A step that waits runs no code of its own: only lost workers use its attempts up, and it outlasts them all. */
const waiting: RetryPolicy = { ...defaultRetry, maxAttempts: "unlimited" };

/** Everybody who runs the workflow shares its graph. */
function deepFreeze(value: object): void {
  Object.freeze(value);
  for (const part of Object.values(value)) if (typeof part === "object" && part !== null) deepFreeze(part as object);
}

function whenOf(options: AnyOptions): Pick<StepCode, "when"> {
  return options.when === undefined ? {} : { when: options.when };
}

function idempotentOf({ idempotent }: { readonly idempotent?: boolean }): { readonly idempotent?: true } {
  return idempotent === true ? { idempotent } : {};
}
