/** What a user says about a step, and what the step's code is given. The types here are the promises of the builder. */
import type * as z from "zod";
import type { ChildCode } from "./child.ts";
import type { Duration } from "./duration.ts";
import type { RateLimit, RateLimitOptions } from "./flow.ts";
import type { MapCode, ShardCode } from "./map.ts";
import type { BackoffOptions, RetryOptions } from "./retry.ts";

declare const outputType: unique symbol;
declare const codeType: unique symbol;

/**
 * A step of a workflow as a value. It is what other steps depend on: a dependency that does not exist cannot be
 * written, and neither can a cycle.
 */
export interface StepRef<Id extends string = string, Output = unknown, Code = unknown> {
  readonly id: Id;
  /** Only for the compiler: what dependants see as this step's output. */
  readonly [outputType]?: Output;
  /** Only for the compiler: the code of this step and of all that lead to it, for tests that replace it. */
  readonly [codeType]?: Code;
}

/** What the compiler knows of a step's code: what it and its compensation are given, and what it returns. */
export interface StepCodeType<Id extends string, Context, Returns, UndoContext> {
  readonly id: Id;
  readonly context: Context;
  readonly returns: Returns;
  readonly undoContext: UndoContext;
}

/** The same steps, without their code: what names them says no more than it must. */
export type Bare<Refs extends StepRefs> = {
  readonly [Key in keyof Refs]: StepRef<Refs[Key]["id"], OutputOf<Refs[Key]>>;
};

type CodeOfRef<Ref> = Ref extends StepRef<string, unknown, infer Code> ? (unknown extends Code ? never : Code) : never;

/** Code of the steps before one that names these. */
export type CodeBefore<
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
> = CodeOfRef<After[number] | AfterAny[number] | AfterFailed[number] | AfterSettled[number]>;

export type StepRefs = readonly StepRef[];

type OutputOf<Ref> = Ref extends StepRef<string, infer Output> ? Output : never;

type OutputsOf<Refs extends StepRefs> = { readonly [Ref in Refs[number] as Ref["id"]]: OutputOf<Ref> };

type MaybeOutputsOf<Refs extends StepRefs> = {
  readonly [Ref in Refs[number] as Ref["id"]]: OutputOf<Ref> | undefined;
};

/** Outputs of exactly the steps that were named: surely there after `after`, perhaps there after the others. */
export type Outputs<After extends StepRefs, Maybe extends StepRefs> = Flatten<OutputsOf<After> & MaybeOutputsOf<Maybe>>;

type Flatten<T> = { readonly [Key in keyof T]: T[Key] };

/** Why a step failed, as its dependants see it. */
export interface StepError {
  /** Class of the error, e.g. `TypeError`, or Pawl's own: `StepTimeout`, `WorkerCrashed`, `DependencyFailed`, `InvalidOutput`. */
  readonly name: string;
  readonly message: string;
}

/** What every function of a step may read. */
export interface StepView<Input, StepOutputs, FailedIds extends string> {
  readonly input: Input;
  readonly outputs: StepOutputs;
  /** Errors of the failed steps named in `afterFailed` and `afterSettled`. */
  readonly errors: Readonly<Record<FailedIds, StepError | undefined>>;
}

/** What all code that runs as an attempt is given. */
export interface AttemptContext<Input, StepOutputs, FailedIds extends string>
  extends StepView<Input, StepOutputs, FailedIds> {
  readonly runId: string;
  readonly stepId: string;
  /** This try, from 1. */
  readonly attempt: number;
  /** The same over all attempts of this step in this run: pass it to whatever must not happen twice. */
  readonly idempotencyKey: string;
  /** Aborted when the attempt times out, the run is cancelled, the lease is lost or the worker shuts down. */
  readonly signal: AbortSignal;
  readonly log: StepLog;
  /**
   * Work that need not end before the step does. It is awaited before the message is acknowledged, so it never outlives
   * its worker; a failure is logged and shown with the step, and does not fail it.
   */
  readonly background: (work: Promise<unknown>) => void;
}

/** What the code of a step or a poll is given. */
export interface StepContext<Input, StepOutputs, FailedIds extends string>
  extends AttemptContext<Input, StepOutputs, FailedIds> {
  /**
   * Asks a person and gives the answer, as the schema makes it. Without an answer yet, it throws, and the step waits
   * without a worker; the answer lets this attempt run again from the top of its code, where the same call gives it. So
   * what comes before it is done again, and up to 20 questions must be asked in the same order each time.
   *
   * @param payload what is asked: JSON, shown to whoever answers
   * @param schema of the answer; also shown, as JSON Schema
   */
  readonly interrupt: <Schema extends z.ZodType>(payload: unknown, schema: Schema) => Promise<z.output<Schema>>;
  /**
   * Tells that the attempt is alive. The newest details (JSON of up to 1 KB) are kept with the next renewal of the lease,
   * at most 10 s later, or with the end of the attempt.
   */
  readonly heartbeat: (details?: unknown) => void;
  /** Details of the last heartbeat of an attempt before this one that were kept; `undefined` when there are none. */
  readonly lastHeartbeat: unknown;
}

/** Logs with run, step and attempt attached. */
export interface StepLog {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** When a step begins, whatever it does then. */
export interface DependencyOptions<
  Input,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
> {
  /** Begin when all of these have succeeded or were skipped. */
  readonly after?: After;
  /** Begin when one of these has succeeded, or when all have ended and at least one was skipped. */
  readonly afterAny?: AfterAny;
  /** Begin when one of these has failed (they need `onFailure: "continue"`); skipped when none did. */
  readonly afterFailed?: AfterFailed;
  /** Begin when all of these have ended, however. */
  readonly afterSettled?: AfterSettled;
  /** Skip this step when a step of `after` was skipped, or when none of `afterAny` succeeded and one was. @default false */
  readonly skipWithDependency?: Skips;
  /** `false` skips the step. Must only depend on what it is given: it may be called again. */
  readonly when?: (view: ViewAfter<Input, After, AfterAny, AfterFailed, AfterSettled>) => When;
  /** Wait so long after the step became ready. @default none */
  readonly delay?: Duration;
  /** What the failure of this step means for the run. @default "fail" */
  readonly onFailure?: "fail" | "continue";
  /** Which workers run this step: its queue, memory, timeout and permissions. @default "default" */
  readonly taskQueue?: string;
}

export type ViewAfter<
  Input,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
> = StepView<
  Input,
  Outputs<After, readonly [...AfterAny, ...AfterFailed, ...AfterSettled]>,
  (AfterFailed[number] | AfterSettled[number])["id"]
>;

/** What a step's compensation may read and use. */
export type CompensationContext<Input, Output, StepOutputs, FailedIds extends string> = AttemptContext<
  Input,
  StepOutputs,
  FailedIds
> &
  (
    | { readonly outcome: "succeeded"; readonly output: Output }
    /** An attempt was cut off (its worker was lost, it timed out, its run was ended) and none succeeded: it may have taken effect. */
    | { readonly outcome: "unknown"; readonly output: undefined }
  );

/** How a step is undone when its run fails, is cancelled or times out. It may run more than once, as a step may. */
export type CompensationOptions<Context> =
  | ((context: Context) => unknown)
  | {
      readonly run: (context: Context) => unknown;
      /** @default 10 attempts, exponential from 1s, doubling up to 1m, full jitter */
      readonly retry?: RetryOptions;
      /** Limit of one attempt. @default the step's */
      readonly timeout?: Duration;
    };

export type CompensationAfter<
  Input,
  Output,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
> = CompensationOptions<UndoContextAfter<Input, Output, After, AfterAny, AfterFailed, AfterSettled>>;

/** What the code of a step or a poll is given that comes after these. */
export type ContextAfter<
  Input,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
> = StepContext<
  Input,
  Outputs<After, readonly [...AfterAny, ...AfterFailed, ...AfterSettled]>,
  (AfterFailed[number] | AfterSettled[number])["id"]
>;

/** What the code of a callback is given that comes after these. */
export type CallbackContextAfter<
  Input,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
> = CallbackContext<
  Input,
  Outputs<After, readonly [...AfterAny, ...AfterFailed, ...AfterSettled]>,
  (AfterFailed[number] | AfterSettled[number])["id"]
>;

/** What the compensation of a step is given that comes after these. */
export type UndoContextAfter<
  Input,
  Output,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
> = CompensationContext<
  Input,
  Output,
  Outputs<After, readonly [...AfterAny, ...AfterFailed, ...AfterSettled]>,
  (AfterFailed[number] | AfterSettled[number])["id"]
>;

export interface StepOptions<
  Input,
  Schema extends z.ZodType | undefined,
  RunOutput,
  Output,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
> extends DependencyOptions<Input, After, AfterAny, AfterFailed, AfterSettled, When, Skips> {
  /** Do not begin before this time (ISO 8601 or Date), fixed or computed once when the step is ready. @default none */
  readonly startAt?:
    | string
    | Date
    | ((view: ViewAfter<Input, After, AfterAny, AfterFailed, AfterSettled>) => string | Date);
  /** Limit of one attempt; then its signal is aborted and it counts as failed. @default the workflow's, else 1m */
  readonly timeout?: Duration;
  /** An attempt that runs for so long without a `heartbeat()` is aborted and counts as failed. @default none */
  readonly heartbeatTimeout?: Duration;
  readonly retry?: RetryOptions;
  /** How often attempts of this step may begin, over all runs. @default as often as its task queue allows */
  readonly rateLimit?: RateLimitOptions<ViewAfter<Input, After, AfterAny, AfterFailed, AfterSettled>>;
  /**
   * The code does no harm when the same attempt runs twice at the same time, as it may after a message came twice or late. Then it
   * begins without a claim, which costs a write less and a read more; its result is committed once. What is given up: while
   * it runs, for 10 s at most, the step is shown as pending; a run that fails or is cancelled does not wait for it; and an
   * attempt that its worker did not survive is not counted the first time. Not in workflows that undo steps.
   *
   * @default false
   */
  readonly idempotent?: boolean;
  /** Checks and shapes what `run` returns; a mismatch fails the step without retry. */
  readonly output?: Schema;
  readonly run: (
    context: ContextAfter<Input, After, AfterAny, AfterFailed, AfterSettled>,
  ) => RunOutput | Promise<RunOutput>;
  /**
   * Undoes the step when the run fails, is cancelled or times out after it: after everything that came after the step has
   * been undone. Its `idempotencyKey` is one of its own. To be written after `run`, whose output it is given.
   *
   * @default nothing is to be undone
   */
  readonly compensate?: CompensationAfter<Input, Output, After, AfterAny, AfterFailed, AfterSettled>;
}

export interface PollOptions<
  Input,
  Schema extends z.ZodType | undefined,
  RunOutput,
  Output,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
> extends DependencyOptions<Input, After, AfterAny, AfterFailed, AfterSettled, When, Skips> {
  /** One look. What it throws counts as "not yet", unless it is a `FatalError` or `isRetryable` says no. */
  readonly run: (
    context: ContextAfter<Input, After, AfterAny, AfterFailed, AfterSettled>,
  ) => RunOutput | Promise<RunOutput>;
  /** Whether this look's output is what was waited for; it is then the step's output. */
  readonly until: (output: Output) => boolean;
  /** Pause between two looks. */
  readonly interval: BackoffOptions;
  /** Give up after so many looks; `Infinity` does not. @default Infinity, and then `timeout` is needed */
  readonly maxAttempts?: number;
  /** Give up so long after the step became ready. @default none, and then `maxAttempts` is needed */
  readonly timeout?: Duration;
  /** Limit of one look. @default the workflow's, else 1m */
  readonly attemptTimeout?: Duration;
  /** `false` fails the step at once. @default every error but `FatalError` counts as "not yet" */
  readonly isRetryable?: (error: unknown) => boolean;
  /** How often looks may begin, over all runs. @default as often as its task queue allows */
  readonly rateLimit?: RateLimitOptions<ViewAfter<Input, After, AfterAny, AfterFailed, AfterSettled>>;
  /** A look begins without a claim, as an idempotent step does. @default false */
  readonly idempotent?: boolean;
  /** Checks and shapes what `run` returns; a mismatch fails the step at once. */
  readonly output?: Schema;
  /**
   * Undoes what was waited for, as the `compensate` of a step does: its output is that of the look that found it. A poll
   * that gave up is not undone. @default nothing is to be undone
   */
  readonly compensate?: CompensationAfter<Input, Output, After, AfterAny, AfterFailed, AfterSettled>;
}

/** What the code of a callback is given. */
export interface CallbackContext<Input, StepOutputs, FailedIds extends string>
  extends AttemptContext<Input, StepOutputs, FailedIds> {
  /** Whoever has it may answer this attempt, once. Hand it to the outside party and keep it nowhere: it is a secret. */
  readonly token: string;
}

export interface CallbackOptions<
  Input,
  Schema extends z.ZodType | undefined,
  Output,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
> extends DependencyOptions<Input, After, AfterAny, AfterFailed, AfterSettled, When, Skips> {
  /** Hands the task token to the outside party. What it returns is not kept. */
  readonly run: (context: CallbackContextAfter<Input, After, AfterAny, AfterFailed, AfterSettled>) => unknown;
  /** Checks what the outside party sends; it becomes the step's output. @default no output is taken */
  readonly output?: Schema;
  /** The longest wait of one attempt for its answer, from the moment at which the wait begins. @default for ever */
  readonly timeout?: Duration;
  /** An attempt that waits for so long without a sign of life has failed. @default none: no heartbeats are needed */
  readonly heartbeatTimeout?: Duration;
  /** Limit of `run`. @default the workflow's, else 1m */
  readonly attemptTimeout?: Duration;
  /** Of attempts that threw, were failed by their token or waited in vain; each has a token of its own. */
  readonly retry?: RetryOptions;
  /**
   * Undoes what the outside party was asked for, as the `compensate` of a step does. An attempt that was not answered, or
   * not in time, may have been heard: its outcome is `"unknown"`. @default nothing is to be undone
   */
  readonly compensate?: CompensationAfter<Input, Output, After, AfterAny, AfterFailed, AfterSettled>;
}

export interface SignalOptions<
  Input,
  Payload,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
  OnTimeout extends "fail" | "skip" | { readonly value: Payload },
> extends DependencyOptions<Input, After, AfterAny, AfterFailed, AfterSettled, When, Skips> {
  /** Checks what is sent; it becomes the step's output. @default no payload is taken */
  readonly payload?: z.ZodType<Payload>;
  /** Wait no longer than this, from the moment at which the step begins. @default for ever */
  readonly timeout?: Duration;
  /**
   * `"fail"`: the step fails with `SignalTimeout`. `{ value }`: the step succeeds with that output, which is what the
   * payload's schema gives, not what it takes. @default "fail"
   */
  readonly onTimeout?: OnTimeout;
}

export interface SleepOptions<
  Input,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
> extends DependencyOptions<Input, After, AfterAny, AfterFailed, AfterSettled, When, Skips> {
  /** How long, from the moment at which the step begins; or until when: */
  readonly duration?: Duration;
  /** ISO 8601 or Date, at most 366 days ahead, computed once when the step begins. A time in the past is no sleep. */
  readonly until?: (view: ViewAfter<Input, After, AfterAny, AfterFailed, AfterSettled>) => string | Date;
}

export interface CodeBase {
  readonly when?: ErasedCode<StepView<unknown, unknown, string>>;
  readonly compensate?: {
    readonly run: ErasedCode<CompensationContext<unknown, unknown, unknown, string>>;
    readonly isRetryable?: (error: unknown) => boolean;
  };
}

/** Declared as a method, so that code that takes a more precise argument fits: the builder has checked that it does. */
export type ErasedCode<Given> = { call(given: Given): unknown }["call"];

/** What the worker calls for a step. The builder has checked the types; here they are gone. */
export type StepCode = RunCode | CallbackCode | SignalCode | SleepCode | ChildCode | MapCode | ShardCode;

export interface RunCode extends CodeBase {
  readonly kind: "step";
  readonly run: ErasedCode<StepContext<unknown, unknown, string>>;
  readonly startAt?: ErasedCode<StepView<unknown, unknown, string>>;
  readonly isRetryable?: (error: unknown) => boolean;
  readonly output?: z.ZodType;
  readonly rateLimit?: RateLimit;
  /** Of a poll. */
  readonly until?: ErasedCode<unknown>;
}

export interface CallbackCode extends CodeBase {
  readonly kind: "callback";
  readonly run: ErasedCode<CallbackContext<unknown, unknown, string>>;
  readonly isRetryable?: (error: unknown) => boolean;
  readonly output?: z.ZodType;
}

export interface SignalCode extends CodeBase {
  readonly kind: "signal";
  readonly payload?: z.ZodType;
}

export interface SleepCode extends CodeBase {
  readonly kind: "sleep";
  readonly until?: ErasedCode<StepView<unknown, unknown, string>>;
}
