/** The builder: from a user's `workflow(…)` to a checked, immutable definition. */

import type * as z from "zod";
import { DefinitionBuilder } from "./builder.ts";
import type { ChildOptions } from "./child.ts";
import type { Duration } from "./duration.ts";
import { DefinitionError } from "./errors.ts";
import type { Concurrency, ConcurrencyOptions } from "./flow.ts";
import type { Graph } from "./graph.ts";
import type { EachOptions, ItemContext, MapOptions, MapResults, MapSummary } from "./map.ts";
import type { RetryOptions } from "./retry.ts";
import type { Schedule, ScheduleOptions } from "./schedule.ts";
import type {
  Bare,
  CallbackContextAfter,
  CallbackOptions,
  CodeBefore,
  ContextAfter,
  PollOptions,
  SignalOptions,
  SleepOptions,
  StepCode,
  StepCodeType,
  StepOptions,
  StepRef,
  StepRefs,
  UndoContextAfter,
} from "./step.ts";

declare const types: unique symbol;

/** A workflow definition. Pass it to `createEngine({ workflows: [it] })`; there is no registry that it is entered into. */
export interface Workflow<Name extends string = string, Input = unknown, Output = unknown, Code = unknown> {
  readonly name: Name;
  readonly graph: Graph;
  /** Changes when the graph changes. A run keeps the graph that it began with. */
  readonly fingerprint: string;
  readonly inputSchema: z.ZodType | undefined;
  /** Code of each step, by id. */
  readonly code: ReadonlyMap<string, StepCode>;
  /** How many runs may go on at the same time. */
  readonly concurrency: Concurrency | undefined;
  /** When runs begin by themselves. */
  readonly schedule: Schedule | undefined;
  /** How long a run is kept after its end. */
  readonly retentionMs: number;
  /** Only for the compiler. */
  readonly [types]?: { readonly input: Input; readonly output: Output; readonly code: Code };
}

/** What `start` takes for this workflow. */
export type InputOf<W> = W extends Workflow<string, infer Input> ? Input : never;
/** What a succeeded run of this workflow has as its output. */
export type OutputOf<W> = W extends Workflow<string, unknown, infer Output> ? Output : never;
/** What is known of the code of the steps that lead to this workflow's output: a union, told apart by their ids. */
export type CodeOf<W> = W extends Workflow<string, unknown, unknown, infer Code> ? Extract<Code, AnyCodeType> : never;

type AnyCodeType = KnownStep<string, unknown, unknown, unknown>;

/** A step of a workflow, as far as the compiler knows its code. */
export interface KnownStep<Id extends string, Context, Returns, UndoContext> {
  readonly id: Id;
  readonly context: Context;
  readonly returns: Returns;
  readonly undoContext: UndoContext;
}

export interface WorkflowOptions<Schema extends z.ZodType | undefined> {
  /** Checks the input of every start. Defaults and coercions apply; its result must be JSON. @default no input is taken */
  readonly input?: Schema;
  /** A run that has not ended so long after its start is ended as `timed_out`. @default none */
  readonly timeout?: Duration;
  /**
   * How long a run is kept after its end, from 1 hour to 3,660 days; then it is deleted, with all that it has stored and
   * all runs that its steps have started. Counts for runs that are started from now on, not for children. @default 90d
   */
  readonly retention?: Duration;
  /** How many runs may go on at the same time; the others wait for their turn. @default any number */
  readonly concurrency?: ConcurrencyOptions<ParsedInput<Schema>>;
  /**
   * When runs begin by themselves: `{ cron: "0 6 * * MON-FRI", timezone: "Europe/Berlin" }` or `{ every: "15m" }`. It counts
   * where the workflow itself is given to `createEngine` or to the construct, not where it only comes along as the child
   * of another. @default only when they are started
   */
  readonly schedule?: ScheduleOptions<InputOfSchema<Schema>>;
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
    options: StepOptions<
      Input,
      Schema,
      RunOutput,
      StepOutput<Schema, RunOutput>,
      After,
      AfterAny,
      AfterFailed,
      AfterSettled,
      When,
      Skips
    >,
  ): StepRef<
    Id,
    StepOutput<Schema, RunOutput> | MaybeSkipped<When, AfterFailed, Skips>,
    | CodeBefore<After, AfterAny, AfterFailed, AfterSettled>
    | StepCodeType<
        Id,
        ContextAfter<Input, Bare<After>, Bare<AfterAny>, Bare<AfterFailed>, Bare<AfterSettled>>,
        Returned<Schema, RunOutput>,
        UndoContextAfter<
          Input,
          StepOutput<Schema, RunOutput>,
          Bare<After>,
          Bare<AfterAny>,
          Bare<AfterFailed>,
          Bare<AfterSettled>
        >
      >
  >;

  /** Adds a step that is repeated until its output is what was waited for, with pauses in which nothing runs. */
  poll<
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
    options: PollOptions<
      Input,
      Schema,
      RunOutput,
      StepOutput<Schema, RunOutput>,
      After,
      AfterAny,
      AfterFailed,
      AfterSettled,
      When,
      Skips
    >,
  ): StepRef<
    Id,
    StepOutput<Schema, RunOutput> | MaybeSkipped<When, AfterFailed, Skips>,
    | CodeBefore<After, AfterAny, AfterFailed, AfterSettled>
    | StepCodeType<
        Id,
        ContextAfter<Input, Bare<After>, Bare<AfterAny>, Bare<AfterFailed>, Bare<AfterSettled>>,
        Returned<Schema, RunOutput>,
        UndoContextAfter<
          Input,
          StepOutput<Schema, RunOutput>,
          Bare<After>,
          Bare<AfterAny>,
          Bare<AfterFailed>,
          Bare<AfterSettled>
        >
      >
  >;

  /**
   * Adds a step that hands a task token to an outside party and waits, while nothing runs, until the party answers by
   * it: over HTTP, the command line or `commands.callbacks`. The answer is the step's output.
   */
  callback<
    const Id extends string,
    Schema extends z.ZodType | undefined = undefined,
    const After extends StepRefs = readonly [],
    const AfterAny extends StepRefs = readonly [],
    const AfterFailed extends StepRefs = readonly [],
    const AfterSettled extends StepRefs = readonly [],
    When extends boolean = never,
    const Skips extends boolean = false,
  >(
    id: Id,
    options: CallbackOptions<
      Input,
      Schema,
      StepOutput<Schema, undefined>,
      After,
      AfterAny,
      AfterFailed,
      AfterSettled,
      When,
      Skips
    >,
  ): StepRef<
    Id,
    StepOutput<Schema, undefined> | MaybeSkipped<When, AfterFailed, Skips>,
    | CodeBefore<After, AfterAny, AfterFailed, AfterSettled>
    | StepCodeType<
        Id,
        CallbackContextAfter<Input, Bare<After>, Bare<AfterAny>, Bare<AfterFailed>, Bare<AfterSettled>>,
        unknown,
        UndoContextAfter<
          Input,
          StepOutput<Schema, undefined>,
          Bare<After>,
          Bare<AfterAny>,
          Bare<AfterFailed>,
          Bare<AfterSettled>
        >
      >
  >;

  /**
   * Adds a step that waits for a signal: a message that someone sends to the run under this step's id, once. It may be
   * sent before the step begins and is kept until then.
   */
  signal<
    const Id extends string,
    Payload = undefined,
    const After extends StepRefs = readonly [],
    const AfterAny extends StepRefs = readonly [],
    const AfterFailed extends StepRefs = readonly [],
    const AfterSettled extends StepRefs = readonly [],
    When extends boolean = never,
    const Skips extends boolean = false,
    const OnTimeout extends "fail" | "skip" | { readonly value: Payload } = "fail",
  >(
    id: Id,
    options?: SignalOptions<Input, Payload, After, AfterAny, AfterFailed, AfterSettled, When, Skips, OnTimeout>,
  ): StepRef<
    Id,
    Payload | MaybeSkipped<When, AfterFailed, Skips> | (OnTimeout extends "skip" ? undefined : never),
    CodeBefore<After, AfterAny, AfterFailed, AfterSettled>
  >;

  /** Adds a step that waits for a time, up to 366 days, while nothing runs. It has no output. */
  sleep<
    const Id extends string,
    const After extends StepRefs = readonly [],
    const AfterAny extends StepRefs = readonly [],
    const AfterFailed extends StepRefs = readonly [],
    const AfterSettled extends StepRefs = readonly [],
    When extends boolean = never,
    const Skips extends boolean = false,
  >(
    id: Id,
    options: SleepOptions<Input, After, AfterAny, AfterFailed, AfterSettled, When, Skips>,
  ): StepRef<Id, undefined, CodeBefore<After, AfterAny, AfterFailed, AfterSettled>>;

  /**
   * Adds a step that starts a run of another workflow, under an id that follows from this run's, and waits for its end
   * while nothing runs. The child's output is the step's; a child that does not succeed fails it.
   */
  child<
    const Id extends string,
    Child extends Workflow,
    const After extends StepRefs = readonly [],
    const AfterAny extends StepRefs = readonly [],
    const AfterFailed extends StepRefs = readonly [],
    const AfterSettled extends StepRefs = readonly [],
    When extends boolean = never,
    const Skips extends boolean = false,
  >(
    id: Id,
    options: ChildOptions<Input, Child, After, AfterAny, AfterFailed, AfterSettled, When, Skips>,
  ): StepRef<
    Id,
    OutputOf<Child> | MaybeSkipped<When, AfterFailed, Skips>,
    CodeBefore<After, AfterAny, AfterFailed, AfterSettled>
  >;

  /** Adds a step that runs code for each item of a list that is known when it begins. Its output is their outputs. */
  map<
    const Id extends string,
    Item,
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
    options: MapOptions<Input, Item, Schema, RunOutput, After, AfterAny, AfterFailed, AfterSettled, When, Skips>,
  ): StepRef<
    Id,
    MapResults<StepOutput<Schema, RunOutput>> | MaybeSkipped<When, AfterFailed, Skips>,
    | CodeBefore<After, AfterAny, AfterFailed, AfterSettled>
    | StepCodeType<Id, ItemContext<Item>, Returned<Schema, RunOutput>, never>
  >;

  /** Adds a step that starts a run of another workflow for each item of a list. Its output is their outputs. */
  map<
    const Id extends string,
    Child extends Workflow,
    const After extends StepRefs = readonly [],
    const AfterAny extends StepRefs = readonly [],
    const AfterFailed extends StepRefs = readonly [],
    const AfterSettled extends StepRefs = readonly [],
    When extends boolean = never,
    const Skips extends boolean = false,
  >(
    id: Id,
    options: EachOptions<Input, Child, After, AfterAny, AfterFailed, AfterSettled, When, Skips>,
  ): StepRef<
    Id,
    MapResults<OutputOf<Child>> | MaybeSkipped<When, AfterFailed, Skips>,
    CodeBefore<After, AfterAny, AfterFailed, AfterSettled>
  >;
}

/** A run tells of a map how many items it had; what came of them is read by its dependants. */
type RunOutputOf<Output> = Output extends MapResults<unknown> ? MapSummary : Output;

/** What a step's code may return: what its schema takes, or anything. */
type ReturnedFor<Schema> = Schema extends z.ZodType ? z.input<Schema> : unknown;

type StepOutput<Schema, RunOutput> = Schema extends z.ZodType ? z.output<Schema> : RunOutput;

/** What stands in for a step's code returns. */
type Returned<Schema, RunOutput> = Schema extends z.ZodType ? z.input<Schema> : RunOutput;

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
  Code = never,
>(
  name: Name,
  options: WorkflowOptions<Schema>,
  build: (w: WorkflowBuilder<ParsedInput<Schema>>) => StepRef<string, Output, Code> | void,
): Workflow<
  Name,
  InputOfSchema<Schema>,
  RunOutputOf<Output>,
  // Told step by step, and not how it came about: a declaration of the workflow grows with its steps, not with its paths.
  Code extends StepCodeType<infer Id, infer Context, infer Returns, infer UndoContext>
    ? KnownStep<Id, Context, Returns, UndoContext>
    : never
> {
  return define(name, options, build, false);
}

/** The same for one of Pawl's own workflows, whose names nobody else may use. */
export function systemWorkflow<
  const Name extends `pawl-${string}`,
  Output = undefined,
  Schema extends z.ZodType | undefined = undefined,
>(
  name: Name,
  options: WorkflowOptions<Schema>,
  build: (w: WorkflowBuilder<ParsedInput<Schema>>) => StepRef<string, Output> | void,
): Workflow<Name, InputOfSchema<Schema>, RunOutputOf<Output>> {
  return define(name, options, build, true);
}

function define<Name extends string, Output, Schema extends z.ZodType | undefined, Code>(
  name: Name,
  options: WorkflowOptions<Schema>,
  build: (w: WorkflowBuilder<ParsedInput<Schema>>) => StepRef<string, Output> | void,
  isOurs: boolean,
): Workflow<Name, InputOfSchema<Schema>, RunOutputOf<Output>, Code> {
  const definition = new DefinitionBuilder(name, options, isOurs);
  // The builder works on erased types; `WorkflowBuilder` is what makes calls to it safe.
  const { step, poll, callback, signal, sleep, child, map } = definition;
  const steps = { step, poll, callback, signal, sleep, child, map };
  if (typeof build !== "function") {
    throw new DefinitionError(name, [
      { at: "workflow", message: "has no function that builds it; give it one as the third argument." },
    ]);
  }
  const output = build(steps as unknown as WorkflowBuilder<ParsedInput<Schema>>);
  return definition.finish(output ?? undefined) as Workflow<Name, InputOfSchema<Schema>, RunOutputOf<Output>, Code>;
}
