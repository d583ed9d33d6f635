/** The builder: from a user's `workflow(…)` to a checked, immutable definition. */
import type * as z from "zod";
import { findContradictions } from "./contradictions.ts";
import { type Duration, durationForm, formatDuration, parseDuration } from "./duration.ts";
import { DefinitionError, type DefinitionFault } from "./errors.ts";
import { type DependencyKind, fingerprint, type Graph, type GraphStep, type RetryPolicy } from "./graph.ts";
import { instantForm, parseInstant } from "./instant.ts";
import { limits } from "./limits.ts";
import { compileRetry, defaultRetry, type RetryOptions } from "./retry.ts";
import type { StepCode, StepOptions, StepRef, StepRefs } from "./step.ts";

declare const types: unique symbol;

/** A workflow definition. Pass it to `createEngine({ workflows: [it] })`; there is no registry that it is entered into. */
export interface Workflow<Name extends string = string, Input = unknown, Output = unknown> {
  readonly name: Name;
  readonly graph: Graph;
  /** Changes when the graph changes. A run keeps the graph that it began with. */
  readonly fingerprint: string;
  readonly inputSchema: z.ZodType | undefined;
  /** Code of each step, by id. */
  readonly code: ReadonlyMap<string, StepCode>;
  /** Only for the compiler. */
  readonly [types]?: { readonly input: Input; readonly output: Output };
}

/** What `start` takes for this workflow. */
export type InputOf<W> = W extends Workflow<string, infer Input> ? Input : never;
/** What a succeeded run of this workflow has as its output. */
export type OutputOf<W> = W extends Workflow<string, unknown, infer Output> ? Output : never;

export interface WorkflowOptions<Schema extends z.ZodType | undefined> {
  /** Checks the input of every start. Defaults and coercions apply; its result must be JSON. @default no input is taken */
  readonly input?: Schema;
  /** A run that has not ended so long after its start is ended as `timed_out`. @default none */
  readonly timeout?: Duration;
  /** What steps have when they do not say otherwise. */
  readonly defaults?: {
    readonly retry?: RetryOptions;
    /** Limit of one attempt. @default 1m */
    readonly timeout?: Duration;
  };
}

export interface WorkflowBuilder<Input> {
  /** Adds a step that runs code, and returns it for other steps to depend on. */
  step<
    const Id extends string,
    RunOutput extends ReturnedFor<Schema>,
    Schema extends z.ZodType | undefined = undefined,
    const After extends StepRefs = readonly [],
    const AfterAny extends StepRefs = readonly [],
    const AfterFailed extends StepRefs = readonly [],
    const AfterSettled extends StepRefs = readonly [],
    When extends boolean = never,
    const Skips extends boolean = false,
  >(
    id: Id,
    options: StepOptions<Input, Schema, RunOutput, After, AfterAny, AfterFailed, AfterSettled, When, Skips>,
  ): StepRef<Id, StepOutput<Schema, RunOutput> | MaybeSkipped<When, AfterFailed, Skips>>;
}

/** What a step's code may return: what its schema takes, or anything. */
type ReturnedFor<Schema> = Schema extends z.ZodType ? z.input<Schema> : unknown;

type StepOutput<Schema, RunOutput> = Schema extends z.ZodType ? z.output<Schema> : RunOutput;

/** `undefined` when the step may be skipped: it has a condition, waits for a failure, or is skipped with others. */
type MaybeSkipped<When, AfterFailed extends StepRefs, Skips> = [When] extends [never]
  ? AfterFailed extends readonly []
    ? [Skips] extends [false]
      ? never
      : undefined
    : undefined
  : undefined;

type InputOfSchema<Schema> = Schema extends z.ZodType ? z.input<Schema> : undefined;
type ParsedInput<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/**
 * Defines a workflow. The whole definition is checked here.
 *
 * @param build Called once, at once. The step that it returns gives the run its output; returning nothing gives none.
 * @throws {DefinitionError} naming all faults: ids, durations, retry policies, dependencies, limits.
 */
export function workflow<
  const Name extends string,
  Output = undefined,
  Schema extends z.ZodType | undefined = undefined,
>(
  name: Name,
  options: WorkflowOptions<Schema>,
  build: (w: WorkflowBuilder<ParsedInput<Schema>>) => StepRef<string, Output> | void,
): Workflow<Name, InputOfSchema<Schema>, Output> {
  const definition = new DefinitionBuilder(name, options);
  // The builder works on erased types; `WorkflowBuilder` is what makes calls to it safe.
  const output = build({ step: definition.step } as unknown as WorkflowBuilder<ParsedInput<Schema>>);
  return definition.finish(output ?? undefined) as Workflow<Name, InputOfSchema<Schema>, Output>;
}

type AnyStepOptions = StepOptions<
  unknown,
  z.ZodType | undefined,
  unknown,
  StepRefs,
  StepRefs,
  StepRefs,
  StepRefs,
  boolean,
  boolean
>;

const namePattern = /^[A-Za-z][A-Za-z0-9_-]*$/;
const nameForm = `a letter, then letters, digits, "_" and "-", at most ${limits.nameLength} in all`;
const defaultStepTimeoutMs = 60_000;

class DefinitionBuilder {
  readonly #name: string;
  readonly #options: WorkflowOptions<z.ZodType | undefined>;
  readonly #faults: DefinitionFault[] = [];
  readonly #steps: GraphStep[] = [];
  readonly #code = new Map<string, StepCode>();
  readonly #indexOf = new Map<StepRef, number>();
  readonly #retry: RetryPolicy;
  readonly #timeoutMs: number;
  #finished = false;

  constructor(name: string, options: WorkflowOptions<z.ZodType | undefined>) {
    this.#name = name;
    this.#options = options;
    if (!isName(name)) this.#fault("name", `is ${JSON.stringify(name)}; allowed is ${nameForm}.`);
    const { retry, timeout } = options.defaults ?? {};
    this.#retry = this.#compileRetry("defaults", defaultRetry, retry);
    this.#timeoutMs = this.#duration("defaults: timeout", timeout, limits.stepTimeoutMs) ?? defaultStepTimeoutMs;
  }

  readonly step = (id: string, options: AnyStepOptions): StepRef => {
    const at = `step ${JSON.stringify(id)}`;
    if (this.#finished) {
      const message = "is added after the definition was built; add all steps before the build function returns.";
      throw new DefinitionError(this.#name, [{ at, message }]);
    }
    if (!isName(id)) this.#fault(at, `has an id that is not allowed; allowed is ${nameForm}.`);
    if (this.#code.has(id)) this.#fault(at, "is defined twice; ids are unique within a workflow.");
    if (typeof options.run !== "function") this.#fault(at, "has no run function; give it one.");

    const resolve = (kind: DependencyKind): number[] => this.#resolve(`${at}: ${kind}`, options[kind] ?? []);
    const dependencies = {
      after: resolve("after"),
      afterAny: resolve("afterAny"),
      afterFailed: resolve("afterFailed"),
      afterSettled: resolve("afterSettled"),
    };
    const ref: StepRef = Object.freeze({ id });
    this.#indexOf.set(ref, this.#steps.length);
    this.#steps.push(this.#compileStep(id, at, options, dependencies));
    this.#code.set(id, compileCode(options, this.#options.defaults?.retry));
    return ref;
  };

  finish(output: StepRef | undefined): Workflow {
    this.#finished = true;
    if (this.#steps.length === 0) this.#fault("workflow", "has no steps; add at least one with w.step(…).");
    if (this.#steps.length > limits.stepsPerWorkflow) {
      this.#fault("workflow", `has ${this.#steps.length} steps; at most ${limits.stepsPerWorkflow} are allowed.`);
    }
    const [outputIndex] = output === undefined ? [] : this.#resolve("returned step", [output]);
    const timeoutMs = this.#duration("timeout", this.#options.timeout, limits.delayMs);
    const graph: Graph = {
      schema: 1,
      workflow: this.#name,
      steps: this.#steps,
      ...(outputIndex === undefined ? {} : { output: outputIndex }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    this.#faults.push(...findContradictions(graph));
    if (this.#faults.length > 0) throw new DefinitionError(this.#name, this.#faults);
    return Object.freeze({
      name: this.#name,
      graph,
      fingerprint: fingerprint(graph),
      inputSchema: this.#options.input,
      code: this.#code,
    });
  }

  #compileStep(
    id: string,
    at: string,
    options: AnyStepOptions,
    dependencies: Record<DependencyKind, readonly number[]>,
  ): GraphStep {
    const { taskQueue = "default", onFailure = "fail", startAt } = options;
    if (!isName(taskQueue)) this.#fault(`${at}: taskQueue`, `is ${JSON.stringify(taskQueue)}; allowed is ${nameForm}.`);
    if (!["fail", "continue"].includes(onFailure)) {
      this.#fault(`${at}: onFailure`, `is ${JSON.stringify(onFailure)}; allowed are "fail" and "continue".`);
    }
    const delayMs = this.#duration(`${at}: delay`, options.delay, limits.delayMs);
    const startAtMs = this.#instant(`${at}: startAt`, startAt);
    return {
      id,
      kind: "step",
      ...dependencies,
      taskQueue,
      retry: this.#compileRetry(at, this.#retry, options.retry),
      onFailure,
      timeoutMs: this.#duration(`${at}: timeout`, options.timeout, limits.stepTimeoutMs) ?? this.#timeoutMs,
      ...(delayMs === undefined ? {} : { delayMs }),
      ...(startAtMs === undefined ? {} : { startAtMs }),
      ...(options.skipWithDependency === true ? { skipWithDependency: true } : {}),
      ...(options.when === undefined ? {} : { hasWhen: true }),
      ...(typeof startAt === "function" ? { hasStartAt: true } : {}),
    };
  }

  #compileRetry(at: string, policy: RetryPolicy, options: RetryOptions | undefined): RetryPolicy {
    return compileRetry(policy, options, (option, message) => {
      this.#fault(`${at}: ${option}`, message);
    });
  }

  #resolve(at: string, refs: StepRefs): number[] {
    const indexes = new Set<number>();
    for (const ref of refs) {
      const index = this.#indexOf.get(ref);
      // Values of another workflow, and of plain JavaScript callers, get past the compiler.
      const named = JSON.stringify((ref as StepRef | undefined)?.id ?? ref);
      if (index === undefined) this.#fault(at, `refers to ${named}, which is not a step of this workflow.`);
      else if (indexes.has(index)) this.#fault(at, `names ${named} twice.`);
      else indexes.add(index);
    }
    return [...indexes];
  }

  #duration(at: string, text: Duration | undefined, mostMs: number): number | undefined {
    if (text === undefined) return undefined;
    const ms = parseDuration(text);
    if (ms !== undefined && ms > 0 && ms <= mostMs) return ms;
    this.#fault(
      at,
      `is ${JSON.stringify(text)}; allowed is ${durationForm}, above 0 and up to ${formatDuration(mostMs)}.`,
    );
    return undefined;
  }

  #instant(at: string, value: AnyStepOptions["startAt"]): number | undefined {
    if (value === undefined || typeof value === "function") return undefined;
    const ms = parseInstant(value);
    if (ms !== undefined) return ms;
    this.#fault(at, `is ${JSON.stringify(value)}; allowed is ${instantForm}.`);
    return undefined;
  }

  #fault(at: string, message: string): void {
    this.#faults.push({ at, message });
  }
}

function isName(text: unknown): boolean {
  return typeof text === "string" && text.length <= limits.nameLength && namePattern.test(text);
}

function compileCode(options: AnyStepOptions, defaults: RetryOptions | undefined): StepCode {
  const isRetryable = options.retry?.isRetryable ?? defaults?.isRetryable;
  return {
    run: options.run as StepCode["run"],
    ...(options.when === undefined ? {} : { when: options.when as NonNullable<StepCode["when"]> }),
    ...(typeof options.startAt === "function" ? { startAt: options.startAt as NonNullable<StepCode["startAt"]> } : {}),
    ...(isRetryable === undefined ? {} : { isRetryable }),
    ...(options.output === undefined ? {} : { output: options.output }),
  };
}
