// Random workflows whose steps behave as told, and what a run of them must come to.
import * as z from "zod";
import { FatalError } from "../../lib/definition/errors.ts";
import type { Rate } from "../../lib/definition/flow.ts";
import { limits } from "../../lib/definition/limits.ts";
import type { StepContext, StepRef } from "../../lib/definition/step.ts";
import { type Workflow, type WorkflowBuilder, workflow } from "../../lib/definition/workflow.ts";
import { withSmallShards } from "../engine/small-shards.ts";

export interface StepPlan {
  /** Which of the earlier steps it depends on, and how. */
  readonly after: readonly number[];
  readonly kind: "after" | "afterAny" | "afterSettled" | "afterFailed";
  readonly behaviour: Behaviour;
  readonly onFailure: "fail" | "continue";
  readonly skipWithDependency: boolean;
  readonly delayed: boolean;
  /** Whether and how it is undone; only steps that run code and children are. */
  readonly undo: "none" | "works" | "failsFirst" | "fails" | "hangs";
  /** Attempts of all such steps share one rate limit. */
  readonly limited: boolean;
  /** Its output is a blob. */
  readonly large: boolean;
  /** Its output takes so much of the run's record that a few of them fill it. */
  readonly filling: boolean;
  /** Its attempts begin without a claim; only steps that run code can, where nothing is undone. */
  readonly idempotent: boolean;
}

export const apiRate: Rate = { limit: 2, perMs: 10_000 };

/** Those that are there twice are twice as likely. */
export const behaviours = [
  "succeeds",
  "succeeds",
  "succeeds",
  "failsFirst",
  "fails",
  "skips",
  "hangs",
  "signal",
  "sleeps",
  "polls",
  "callback",
  "callback",
  "silent",
  "asks",
  "asks",
  "child",
  "freeChild",
  "map",
] as const;
export type Behaviour = (typeof behaviours)[number];

/** So many steps, which behave in some of these ways. */
export function drawSteps(random: () => number, count: number, some: readonly Behaviour[] = behaviours): StepPlan[] {
  const of = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  return Array.from({ length: count }, (_, index) => ({
    after:
      index === 0
        ? []
        : [...new Set(Array.from({ length: Math.floor(random() * 4) }, () => Math.floor(random() * index)))],
    kind: of(["after", "after", "after", "afterAny", "afterSettled", "afterFailed"] as const),
    behaviour: of(some),
    onFailure: of(["continue", "continue", "fail"] as const),
    skipWithDependency: random() < 0.5,
    delayed: random() < 0.5,
    undo: of(["none", "works", "works", "failsFirst", "fails", "hangs"] as const),
    limited: random() < 0.25,
    large: random() < 1 / 6,
    filling: false,
    idempotent: false,
  }));
}

const inALine: readonly Behaviour[] = ["succeeds", "succeeds", "succeeds", "failsFirst", "asks", "callback", "signal"];

/** Many steps, mostly one after the other, whose outputs fill the run's record. */
export function fillingSteps(random: () => number): StepPlan[] {
  return drawSteps(random, 7 + Math.floor(random() * 6), inALine).map((step, index) => ({
    ...step,
    after: index === 0 || random() < 0.1 ? step.after : [index - 1],
    kind: "after",
    onFailure: "continue",
    large: false,
    filling: true,
  }));
}

/** Those that count how often they have run. */
const counting: readonly Behaviour[] = ["failsFirst", "polls", "map"];

/** The same steps, of which nothing is undone, and most begin without a claim. */
export function idempotentSteps(
  random: () => number,
  steps: readonly StepPlan[],
  { mayRunTwice }: { readonly mayRunTwice: boolean },
): StepPlan[] {
  return steps.map((step) => ({
    ...step,
    undo: "none",
    idempotent: random() < 0.7 && (mayRunTwice || !counting.includes(step.behaviour)),
  }));
}

/**
 * @param inUserCode where a crash may hit while the step runs; told of steps that are rate-limited
 * @param handOut given the task tokens that callbacks hand out; those that are silent tell nobody
 */
export function buildWorkflow(
  plans: readonly StepPlan[],
  inUserCode: (label: string, isLimited?: boolean) => Promise<void>,
  handOut: (index: number, token: string) => void,
  {
    name = "random",
    child,
    ...options
  }: {
    readonly name?: string;
    readonly child?: Workflow<string, undefined>;
    readonly timeout?: "10m";
    readonly concurrency?: { readonly limit: number; readonly key?: string };
  } = {},
): Workflow<string, undefined> {
  const of = workflow(name, options, (w: WorkflowBuilder<undefined>) => {
    const refs: StepRef[] = [];
    plans.forEach((plan, index) => {
      const dependencies = plan.after.map((dependency) => refs[dependency] as StepRef);
      // A step may only wait for failures that do not end the run.
      const mayWait = plan.after.every((dependency) => plans[dependency]?.onFailure === "continue");
      const kind = plan.kind === "afterFailed" && !mayWait ? "afterSettled" : plan.kind;
      const common = {
        [kind]: dependencies,
        onFailure: plan.onFailure,
        skipWithDependency: plan.skipWithDependency,
        ...(plan.delayed ? { delay: "20s" as const } : {}),
      };
      const rateLimit = plan.limited ? { rateLimit: { key: "api", limit: apiRate.limit, per: "10s" } } : {};
      const idempotent = plan.idempotent ? { idempotent: true } : {};
      const begin = (attempt: number): Promise<void> => inUserCode(`s${index}@${attempt}`, plan.limited);
      if (plan.behaviour === "signal") {
        const onTimeout = index % 3 === 0 ? "fail" : index % 3 === 1 ? "skip" : { value: 0 };
        // Without a timeout, only the signal can end the wait: one that is lost shows as a run that never ends.
        const wait = plan.delayed ? {} : { timeout: "1m", onTimeout };
        refs.push(w.signal(`s${index}`, { ...common, payload: z.number(), ...wait } as never));
        return;
      }
      let undoFailures = 0;
      const compensate = {
        retry: {
          maxAttempts: plan.undo === "fails" || plan.undo === "hangs" ? 2 : 30,
          backoff: { type: "fixed", base: "1s" },
        },
        timeout: "5s",
        run: async ({ signal, attempt }: { signal: AbortSignal; attempt: number }) => {
          await inUserCode(`undo s${index}@${attempt}`);
          if (plan.undo === "fails") throw new FatalError("cannot be undone");
          if (plan.undo === "failsFirst" && undoFailures++ === 0) throw new Error("at first");
          if (plan.undo === "hangs") await abortOf(signal);
        },
      };
      const undoing = plan.undo === "none" ? {} : { compensate };
      if ((plan.behaviour === "child" || plan.behaviour === "freeChild") && child !== undefined) {
        const whenParentEnds = plan.behaviour === "child" ? "cancel" : "leave";
        refs.push(w.child(`s${index}`, { ...common, ...undoing, workflow: child, whenParentEnds } as never));
        return;
      }
      if (plan.behaviour === "map") {
        refs.push(w.map(`s${index}`, { ...common, ...mapOf(plan, index, inUserCode) } as never));
        return;
      }
      if (plan.behaviour === "sleeps") {
        refs.push(w.sleep(`s${index}`, { ...common, duration: "1m" } as never));
        return;
      }
      if (plan.behaviour === "polls") {
        // Lost looks count: what is to succeed in the end must outlast all faults of a schedule.
        let looks = 0;
        const poll = {
          run: async ({ attempt }: { attempt: number }) => {
            await begin(attempt);
            return ++looks;
          },
          until: (seen: number) => seen > 2,
          interval: { type: "fixed", base: "5s" },
          maxAttempts: 40,
          ...idempotent,
          ...rateLimit,
        };
        refs.push(w.poll(`s${index}`, { ...common, ...poll } as never));
        return;
      }
      if (plan.behaviour === "callback" || plan.behaviour === "silent") {
        const isSilent = plan.behaviour === "silent";
        const callback = {
          output: z.number(),
          run: async ({ token, attempt }: { token: string; attempt: number }) => {
            if (!isSilent) handOut(index, token);
            // The answer may come while this code still runs, or after a crash of its process.
            await inUserCode(`s${index}@${attempt}`);
          },
          // Without timeouts, only the answer can end the wait: one that is lost shows as a run that never ends.
          ...(isSilent ? { timeout: "1m" } : plan.delayed ? {} : { timeout: "5m", heartbeatTimeout: "30s" }),
          retry: { maxAttempts: isSilent ? 2 : 30, backoff: { type: "fixed", base: "5s" } },
        };
        refs.push(w.callback(`s${index}`, { ...common, ...callback } as never));
        return;
      }
      if (plan.behaviour === "asks") {
        const asks = {
          ...idempotent,
          retry: { maxAttempts: 30, backoff: { type: "fixed", base: "1s" } },
          run: async ({ interrupt, attempt }: StepContext<unknown, unknown, string>) => {
            const first = await interrupt(0, z.number());
            await inUserCode(`s${index}@${attempt}`);
            const second = await interrupt(1, z.number());
            if (first !== 0 || second !== 1) throw new FatalError(`the answers are ${first} and ${second}`);
          },
        };
        refs.push(w.step(`s${index}`, { ...common, ...asks } as never));
        return;
      }
      let failures = 0;
      let executions = 0;
      refs.push(
        w.step(`s${index}`, {
          ...common,
          ...undoing,
          ...idempotent,
          ...rateLimit,
          timeout: "5s",
          ...(plan.behaviour === "skips" ? { when: () => false } : {}),
          // Crashes and stalls use attempts up: what is to succeed in the end must outlast all faults of a schedule.
          retry: {
            maxAttempts: plan.behaviour === "hangs" ? 2 : 30,
            backoff: { type: "exponential", base: "1s", max: "1m", jitter: "full" },
          },
          run: async ({ signal, attempt }: { signal: AbortSignal; attempt: number }) => {
            await begin(attempt);
            if (plan.behaviour === "fails") throw new FatalError("as planned");
            if (plan.behaviour === "failsFirst" && failures++ === 0) throw new Error("at first");
            if (plan.behaviour === "hangs") {
              await abortOf(signal);
            }
            executions++;
            // What one execution returns is not what another does.
            return {
              index,
              ...(plan.idempotent ? { executions } : {}),
              text: "x".repeat(textLength(plan, index)),
            };
          },
        } as never),
      );
    });
    return refs.at(-1);
  });
  return withSmallShards(of);
}

function textLength({ large, filling }: StepPlan, index: number): number {
  if (large) return limits.itemPayloadBytes;
  return filling ? 60 : index % 2 === 0 ? 10 : 600;
}

/** Up to seven items, of which some fail at first and, perhaps, some for good. */
function mapOf(plan: StepPlan, index: number, inUserCode: (label: string) => Promise<void>): object {
  const failsOnce = new Set([1, 4]);
  return {
    items: () => Array.from({ length: (index * 3) % 8 }, (_, item) => item),
    toleratedFailures: index % 3,
    ...(plan.delayed && !plan.idempotent ? { concurrency: 2 } : {}),
    ...(plan.idempotent ? { idempotent: true } : {}),
    // Lost attempts count, as for steps.
    retry: { maxAttempts: 30, backoff: { type: "fixed", base: "1s" } },
    run: async ({ item, attempt }: { item: number; attempt: number }) => {
      await inUserCode(`s${index}[${item}]@${attempt}`);
      if (plan.skipWithDependency && item % 3 === 0) throw new FatalError("as planned");
      if (failsOnce.delete(item)) throw new Error("at first");
      return item;
    },
  };
}

function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error);
    });
  });
}

/** Mulberry32: a small seeded generator, so that a schedule can be replayed from one number. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
