// Hunts: a promise of the typed builder that the compiler does not keep. Every @ts-expect-error must be an error.
import * as z from "zod";
import { type InputOf, type OutputOf, type StepError, type Workflow, workflow } from "../../lib/index.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<Expected>() {
  return <Actual>(_value: Actual & (Equal<Actual, Expected> extends true ? unknown : never)): void => undefined;
}

const Order = z.object({ id: z.string(), lines: z.array(z.number()), note: z.string().default("") });

export const order = workflow("order", { input: Order, timeout: "3d" }, (w) => {
  const validate = w.step("validate", {
    run: ({ input }) => {
      expectType<{ id: string; lines: number[]; note: string }>()(input);
      return { total: input.lines.length };
    },
  });
  const charge = w.step("charge", {
    after: [validate],
    retry: { maxAttempts: 5, backoff: { type: "exponential", base: "1s", max: "1m", jitter: "full" } },
    timeout: "30s",
    run: async ({ outputs, errors, idempotencyKey, attempt, signal }) => {
      expectType<number>()(outputs.validate.total);
      expectType<string>()(idempotencyKey);
      expectType<number>()(attempt);
      expectType<AbortSignal>()(signal);
      // @ts-expect-error: no step is awaited for its failure here
      void errors.validate;
      await Promise.resolve();
      return "payment";
    },
  });
  const gift = w.step("gift", {
    after: [validate],
    when: ({ outputs, input }) => outputs.validate.total > 1 && input.note !== "",
    run: () => 7,
  });
  const audit = w.step("audit", {
    after: [charge, gift],
    run: ({ outputs }) => {
      expectType<string>()(outputs.charge);
      expectType<number | undefined>()(outputs.gift);
      // @ts-expect-error: validate is not a dependency of this step
      void outputs.validate;
    },
  });
  const any = w.step("any", {
    afterAny: [charge, gift],
    run: ({ outputs }) => {
      expectType<string | undefined>()(outputs.charge);
      return 1;
    },
  });
  const tolerant = w.step("tolerant", { onFailure: "continue", run: () => "fine" });
  const handler = w.step("handler", {
    afterFailed: [tolerant],
    run: ({ errors, outputs }) => {
      expectType<StepError | undefined>()(errors.tolerant);
      expectType<string | undefined>()(outputs.tolerant);
      return true;
    },
  });
  const last = w.step("last", {
    after: [handler, any, audit],
    afterSettled: [tolerant],
    skipWithDependency: true,
    run: ({ outputs, errors }) => {
      expectType<boolean | undefined>()(outputs.handler);
      expectType<StepError | undefined>()(errors.tolerant);
      return { done: true };
    },
  });
  const checked = w.step("checked", {
    after: [last],
    output: z.object({ at: z.coerce.number() }),
    run: ({ outputs }) => {
      expectType<{ done: boolean } | undefined>()(outputs.last);
      return { at: "5" };
    },
  });
  const final = w.step("final", { after: [checked], run: ({ outputs }) => outputs.checked.at });
  // @ts-expect-error: the schema wants a number
  w.step("wrong", { output: z.object({ at: z.number() }), run: () => ({ at: "text" }) });
  // @ts-expect-error: a dependency is a step, not its name
  w.step("byName", { after: ["validate"], run: () => 1 });
  // @ts-expect-error: used before it is defined, so a cycle cannot be written
  w.step("early", { after: [late], run: () => 1 });
  const late = w.step("late", { run: () => 1 });
  // @ts-expect-error: not a duration
  w.step("slow", { timeout: "soon", run: () => 1 });
  // @ts-expect-error: a number has no unit
  w.step("unitless", { delay: 5000, run: () => 1 });
  // @ts-expect-error: when decides with a boolean
  w.step("odd", { when: () => "yes", run: () => 1 });
  // @ts-expect-error: a step needs code
  w.step("empty", {});
  // @ts-expect-error: no such option
  w.step("typo", { afterAll: [validate], run: () => 1 });
  return final;
});

expectType<Workflow<"order", { id: string; lines: number[]; note?: string | undefined }, number>>()(order);
expectType<{ id: string; lines: number[]; note?: string | undefined }>()({} as InputOf<typeof order>);
expectType<number>()(0 as OutputOf<typeof order>);

const conditional = workflow("conditional", {}, (w) => w.step("only", { when: () => Date.now() > 5, run: () => "x" }));
expectType<Workflow<"conditional", undefined, string | undefined>>()(conditional);

const silent = workflow("silent", {}, (w) => {
  w.step("only", { run: ({ input }) => expectType<undefined>()(input) });
});
expectType<Workflow<"silent", undefined, undefined>>()(silent);
