/** What a user says about a step that does the same for each item of a list, and what comes of it. */
import type * as z from "zod";
import type { Duration } from "./duration.ts";
import type { RetryOptions } from "./retry.ts";
import type {
  CodeBase,
  DependencyOptions,
  ErasedCode,
  StepContext,
  StepError,
  StepRefs,
  StepView,
  ViewAfter,
} from "./step.ts";
import type { InputOf, Workflow } from "./workflow.ts";

interface MapOptionsBase<
  Input,
  Item,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
> extends DependencyOptions<Input, After, AfterAny, AfterFailed, AfterSettled, When, Skips> {
  /**
   * The list, of JSON values: up to 100,000 items and, as JSON, the size of one payload. An item carries all that the
   * work on it needs, as that is given nothing else.
   */
  readonly items: (
    view: ViewAfter<Input, After, AfterAny, AfterFailed, AfterSettled>,
  ) => readonly Item[] | Promise<readonly Item[]>;
  /** Items in flight at the same time, never more. @default all of them */
  readonly concurrency?: number;
  /** So many items, or so many percent of them (rounded down), may fail for good without failing the map. @default 0 */
  readonly toleratedFailures?: number | `${number}%`;
}

/** A map that runs code for each item. */
export interface MapOptions<
  Input,
  Item,
  Schema extends z.ZodType | undefined,
  RunOutput,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
> extends MapOptionsBase<Input, Item, After, AfterAny, AfterFailed, AfterSettled, When, Skips> {
  readonly run: (context: ItemContext<Item>) => RunOutput | Promise<RunOutput>;
  /** Of each item. */
  readonly retry?: RetryOptions;
  /** Limit of one attempt of one item. @default the workflow's, else 1m */
  readonly timeout?: Duration;
  /** Items begin without a claim, as an idempotent step does; more than `concurrency` of them may run for a while. @default false */
  readonly idempotent?: boolean;
  /** Checks and shapes what `run` returns; a mismatch fails the item without retry. */
  readonly output?: Schema;
}

/** A map that starts a run for each item, which is that run's input. */
export interface EachOptions<
  Input,
  Child extends Workflow,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
> extends MapOptionsBase<Input, InputOf<Child>, After, AfterAny, AfterFailed, AfterSettled, When, Skips> {
  readonly each: Child | (() => Child);
}

/** `runId` and `stepId` are those of the map; `idempotencyKey` is the item's. */
export interface ItemContext<Item> extends Omit<StepContext<unknown, unknown, string>, "input" | "outputs" | "errors"> {
  readonly item: Item;
  /** In the whole list, from 0. */
  readonly index: number;
}

/** Outputs of a map's items, in their order. They are read when they are asked for, a few of them at a time. */
export interface MapResults<Output> extends AsyncIterable<Output | undefined> {
  /** Items of the list. */
  readonly length: number;
  /** Items that failed, and were tolerated. */
  readonly failures: number;
  /** The item's output; `undefined` when it failed. @throws {RangeError} when there is no such item */
  get(index: number): Promise<Output | undefined>;
  toArray(): Promise<(Output | undefined)[]>;
  /** The items that failed, in their order. */
  errors(): Promise<readonly ItemError[]>;
}

export interface ItemError extends StepError {
  readonly index: number;
}

/** What a run tells of a map: the output of a workflow that returns one. */
export interface MapSummary {
  readonly items: number;
  readonly failures: number;
}

export interface MapCode extends CodeBase {
  readonly kind: "map";
  readonly items: ErasedCode<StepView<unknown, unknown, string>>;
  readonly item:
    | {
        readonly kind: "step";
        readonly run: ErasedCode<ItemContext<unknown>>;
        readonly isRetryable?: (error: unknown) => boolean;
        readonly output?: z.ZodType;
      }
    | { readonly kind: "child"; readonly workflow: () => Workflow };
}

/** A shard only divides its items; a step of it that starts another shard needs no code, but that of its map. */
export interface ShardCode extends CodeBase {
  readonly kind: "shard";
}
