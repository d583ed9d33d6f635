/** Options of steps with their types erased: what the builder works on, once the compiler has checked what was written. */
import type * as z from "zod";
import type { ChildOptions } from "./child.ts";
import type { EachOptions, MapOptions } from "./map.ts";
import type {
  CallbackOptions,
  DependencyOptions,
  PollOptions,
  SignalOptions,
  SleepOptions,
  StepOptions,
  StepRefs,
} from "./step.ts";
import type { Workflow } from "./workflow.ts";

export type AnyStepOptions = StepOptions<
  unknown,
  z.ZodType | undefined,
  unknown,
  unknown,
  StepRefs,
  StepRefs,
  StepRefs,
  StepRefs,
  boolean,
  boolean
>;
export type AnyPollOptions = PollOptions<
  unknown,
  z.ZodType | undefined,
  unknown,
  unknown,
  StepRefs,
  StepRefs,
  StepRefs,
  StepRefs,
  boolean,
  boolean
>;
export type AnyCallbackOptions = CallbackOptions<
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
export type AnySignalOptions = SignalOptions<
  unknown,
  unknown,
  StepRefs,
  StepRefs,
  StepRefs,
  StepRefs,
  boolean,
  boolean,
  "fail" | "skip" | { readonly value: unknown }
>;
export type AnySleepOptions = SleepOptions<unknown, StepRefs, StepRefs, StepRefs, StepRefs, boolean, boolean>;
export type AnyChildOptions = ChildOptions<unknown, Workflow, StepRefs, StepRefs, StepRefs, StepRefs, boolean, boolean>;
export type AnyMapOptions =
  | MapOptions<
      unknown,
      unknown,
      z.ZodType | undefined,
      unknown,
      StepRefs,
      StepRefs,
      StepRefs,
      StepRefs,
      boolean,
      boolean
    >
  | EachOptions<unknown, Workflow, StepRefs, StepRefs, StepRefs, StepRefs, boolean, boolean>;
export type AnyOptions = DependencyOptions<unknown, StepRefs, StepRefs, StepRefs, StepRefs, boolean, boolean>;
