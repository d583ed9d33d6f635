// Hunts: a promise of the typed builder that the compiler does not keep. Every @ts-expect-error must be an error.
import * as z from "zod";
import {
  type InputOf,
  type MapResults,
  type MapSummary,
  type OutputOf,
  RetryableError,
  type StepError,
  type StepLog,
  type StepRef,
  type Workflow,
  workflow,
} from "../../lib/index.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<Expected>() {
  return <Actual>(_value: Actual & (Equal<Actual, Expected> extends true ? unknown : never)): void => undefined;
}

/** A step of that id and output, whatever is known of its code. */
function expectRef<Id extends string, Output>() {
  return <Ref extends StepRef>(
    _ref: Ref &
      (Ref extends StepRef<infer ActualId, infer Actual>
        ? Equal<[ActualId, Actual], [Id, Output]> extends true
          ? unknown
          : never
        : never),
  ): void => undefined;
}

/** A workflow of that name, input and output, whatever is known of its code. */
function expectWorkflow<Name extends string, Input, Output>() {
  return <W extends Workflow>(
    _workflow: W &
      (W extends Workflow<infer ActualName, infer ActualInput, infer Actual>
        ? Equal<[ActualName, ActualInput, Actual], [Name, Input, Output]> extends true
          ? unknown
          : never
        : never),
  ): void => undefined;
}

// What everything below rests on: a type that is wider, narrower or `any` is not the expected one.
expectType<string>()("text" as string);
expectType<string | undefined>()("text" as string | undefined);
// @ts-expect-error: another type
expectType<string>()(1 as number);
// @ts-expect-error: wider than expected
expectType<string>()("text" as string | undefined);
// @ts-expect-error: narrower than expected
expectType<string | undefined>()("text" as string);
// @ts-expect-error: anything goes
expectType<string>()(JSON.parse("1"));
// @ts-expect-error: anything goes is not the same as unknown
expectType<unknown>()(JSON.parse("1"));
// @ts-expect-error: a property more
expectType<{ a: string }>()({} as { a: string; b: string });
// @ts-expect-error: optional is not the same as undefined
expectType<{ a: string | undefined }>()({} as { a?: string });

const Order = z.object({ id: z.string(), lines: z.array(z.number()), note: z.string().default("") });

export const order = workflow("order", { input: Order, timeout: "3d" }, (w) => {
  const validate = w.step("validate", {
    run: ({ input }) => {
      expectType<{ id: string; lines: number[]; note: string }>()(input);
      return { total: input.lines.length };
    },
  });
  expectRef<"validate", { total: number }>()(validate);
  const charge = w.step("charge", {
    after: [validate],
    retry: { maxAttempts: 5, backoff: { type: "exponential", base: "1s", max: "1m", jitter: "full" } },
    timeout: "30s",
    run: async ({ outputs, errors, idempotencyKey, attempt, signal, runId, stepId, log, background }) => {
      expectType<{ readonly validate: { total: number } }>()(outputs);
      expectType<number>()(outputs.validate.total);
      expectType<string>()(idempotencyKey);
      expectType<number>()(attempt);
      expectType<AbortSignal>()(signal);
      expectType<string>()(runId);
      expectType<string>()(stepId);
      expectType<StepLog>()(log);
      background(Promise.resolve(5));
      // @ts-expect-error: only work that is under way
      background(() => Promise.resolve(5));
      // @ts-expect-error: no step is awaited for its failure here
      void errors.validate;
      // @ts-expect-error: outputs are given, not kept
      outputs.validate = { total: 5 };
      await Promise.resolve();
      return "payment";
    },
  });
  expectRef<"charge", string>()(charge);
  const gift = w.step("gift", {
    after: [validate],
    when: ({ outputs, input, errors }) => {
      // @ts-expect-error: charge is not a dependency of this step
      void outputs.charge;
      // @ts-expect-error: no step is awaited for its failure here
      void errors.validate;
      return outputs.validate.total > 1 && input.note !== "";
    },
    run: () => 7,
  });
  expectRef<"gift", number | undefined>()(gift);
  const audit = w.step("audit", {
    after: [charge, gift],
    run: ({ outputs }) => {
      expectType<{ readonly charge: string; readonly gift: number | undefined }>()(outputs);
      // @ts-expect-error: validate is not a dependency of this step
      void outputs.validate;
    },
  });
  expectRef<"audit", void>()(audit);
  const any = w.step("any", {
    afterAny: [charge, gift],
    run: ({ outputs, errors }) => {
      expectType<string | undefined>()(outputs.charge);
      expectType<number | undefined>()(outputs.gift);
      // @ts-expect-error: which of them failed is not told
      void errors.charge;
      return 1;
    },
  });
  // One of several: it runs although the others may have been skipped or failed.
  expectRef<"any", number>()(any);
  const tolerant = w.step("tolerant", { onFailure: "continue", run: () => "fine" });
  const other = w.step("other", { onFailure: "continue", run: () => "fine" });
  const handler = w.step("handler", {
    after: [validate],
    afterFailed: [tolerant, other],
    run: ({ errors, outputs }) => {
      expectType<StepError | undefined>()(errors.tolerant);
      expectType<StepError | undefined>()(errors.other);
      expectType<string | undefined>()(outputs.tolerant);
      expectType<{ total: number }>()(outputs.validate);
      // @ts-expect-error: not awaited for its failure
      void errors.validate;
      return true;
    },
  });
  expectRef<"handler", boolean | undefined>()(handler);
  const settled = w.step("settled", {
    afterSettled: [tolerant, charge],
    run: ({ errors, outputs }) => {
      expectType<StepError | undefined>()(errors.charge);
      expectType<string | undefined>()(outputs.charge);
      return 1;
    },
  });
  expectRef<"settled", number>()(settled);
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
  expectRef<"last", { done: boolean } | undefined>()(last);
  const never = w.step("never", { after: [any], skipWithDependency: false, run: () => 1 });
  expectRef<"never", number>()(never);
  const perhaps = w.step("perhaps", { after: [any], skipWithDependency: Math.random() > 0.5, run: () => 1 });
  expectRef<"perhaps", number | undefined>()(perhaps);

  const checked = w.step("checked", {
    after: [last],
    output: z.object({ at: z.coerce.number() }),
    run: ({ outputs }) => {
      expectType<{ done: boolean } | undefined>()(outputs.last);
      return { at: "5" };
    },
  });
  expectRef<"checked", { at: number }>()(checked);
  const shaped = w.step("shaped", { output: z.string().transform((text) => text.length), run: async () => "text" });
  expectRef<"shaped", number>()(shaped);
  const shapedAndSkipped = w.step("shapedAndSkipped", { output: z.string(), when: () => false, run: () => "text" });
  expectRef<"shapedAndSkipped", string | undefined>()(shapedAndSkipped);
  const final = w.step("final", { after: [checked], run: ({ outputs }) => outputs.checked.at });

  w.step("later", { after: [validate], startAt: ({ outputs }) => new Date(outputs.validate.total), run: () => 1 });
  w.step("laterText", { startAt: ({ input }) => input.note, run: () => 1 });
  w.step("fixed", { startAt: "2027-01-31T08:00:00Z", delay: "1.5h", run: () => 1 });
  w.step("forever", { retry: { maxAttempts: Infinity, isRetryable: (error) => error instanceof Error }, run: () => 1 });

  // @ts-expect-error: the schema wants a number
  w.step("wrong", { output: z.object({ at: z.number() }), run: () => ({ at: "text" }) });
  // @ts-expect-error: the schema wants a property that is not there
  w.step("missing", { output: z.object({ at: z.number() }), run: () => ({ from: 5 }) });
  // @ts-expect-error: the schema wants a number, however it is awaited
  w.step("wrongLater", { output: z.number(), run: () => Promise.resolve("text") });
  // @ts-expect-error: a dependency is a step, not its name
  w.step("byName", { after: ["validate"], run: () => 1 });
  // @ts-expect-error: a list of dependencies
  w.step("single", { after: validate, run: () => 1 });
  // @ts-expect-error: used before it is defined, so a cycle cannot be written
  w.step("early", { after: [late], run: () => 1 });
  const late = w.step("late", { run: () => 1 });
  // @ts-expect-error: not a duration
  w.step("slow", { timeout: "soon", run: () => 1 });
  // @ts-expect-error: a number has no unit
  w.step("unitless", { delay: 5000, run: () => 1 });
  // @ts-expect-error: no such unit
  w.step("weekly", { delay: "1w", run: () => 1 });
  // @ts-expect-error: when decides with a boolean
  w.step("odd", { when: () => "yes", run: () => 1 });
  // @ts-expect-error: when decides at once
  w.step("slowly", { when: async () => true, run: () => 1 });
  // @ts-expect-error: a start time is a Date or text
  w.step("number", { startAt: () => 5, run: () => 1 });
  // @ts-expect-error: a step needs code
  w.step("empty", {});
  // @ts-expect-error: no such option
  w.step("typo", { afterAll: [validate], run: () => 1 });
  // @ts-expect-error: no such choice
  w.step("ignore", { onFailure: "ignore", run: () => 1 });
  // @ts-expect-error: no such backoff
  w.step("quadratic", { retry: { backoff: { type: "quadratic", base: "1s" } }, run: () => 1 });
  // @ts-expect-error: a backoff needs its base
  w.step("baseless", { retry: { backoff: { type: "fixed" } }, run: () => 1 });
  // @ts-expect-error: attempts are a number
  w.step("often", { retry: { maxAttempts: "3" }, run: () => 1 });
  // @ts-expect-error: an id is text
  w.step(5, { run: () => 1 });
  return final;
});

expectWorkflow<"order", { id: string; lines: number[]; note?: string | undefined }, number>()(order);
expectType<{ id: string; lines: number[]; note?: string | undefined }>()({} as InputOf<typeof order>);
expectType<number>()(0 as OutputOf<typeof order>);

const conditional = workflow("conditional", {}, (w) => w.step("only", { when: () => Date.now() > 5, run: () => "x" }));
expectWorkflow<"conditional", undefined, string | undefined>()(conditional);

const silent = workflow("silent", {}, (w) => {
  w.step("only", { run: ({ input }) => expectType<undefined>()(input) });
});
expectWorkflow<"silent", undefined, undefined>()(silent);
expectType<undefined>()(undefined as InputOf<typeof silent>);

const waiting = workflow("waiting", { input: z.coerce.date() }, (w) =>
  w.step("only", { run: async ({ input }) => Promise.resolve(input.getTime()) }),
);
// What is started with is what the schema takes; what steps see is what it gives.
expectWorkflow<"waiting", unknown, number>()(waiting);

// Workflows of all kinds go into one list.
const list: readonly Workflow[] = [order, conditional, silent, waiting];
void list;

// @ts-expect-error: the run's output is a step, not a value
workflow("value", {}, () => 5);
// @ts-expect-error: build is called at once, and gives back no promise
workflow("promised", {}, async (w) => w.step("only", { run: () => 1 }));
// @ts-expect-error: not a duration
workflow("slow", { timeout: "3 days" }, (w) => w.step("only", { run: () => 1 }));
// @ts-expect-error: no such option
workflow("typo", { inputs: Order }, (w) => w.step("only", { run: () => 1 }));
// @ts-expect-error: a schema, not an example
workflow("example", { input: { id: "text" } }, (w) => w.step("only", { run: () => 1 }));
// @ts-expect-error: no such default
workflow("defaults", { defaults: { onFailure: "continue" } }, (w) => w.step("only", { run: () => 1 }));

void new RetryableError("busy", { after: "5s", cause: new Error("503") });
// @ts-expect-error: a number has no unit
void new RetryableError("busy", { after: 5_000 });

const Answer = z.object({ ok: z.boolean(), by: z.string().default("nobody") });

const asking = workflow("asking", { input: Order }, (w) => {
  const begin = w.step("begin", { run: () => "2027-01-31" });
  const aside = w.step("aside", { onFailure: "continue", run: () => 7 });
  const bare = w.signal("bare");
  const plain = w.signal("plain", { after: [begin], payload: Answer });
  const failing = w.signal("failing", { payload: Answer, timeout: "1h", onTimeout: "fail" });
  const skipping = w.signal("skipping", { payload: Answer, timeout: "1h", onTimeout: "skip" });
  const given = w.signal("given", { payload: Answer, timeout: "1h", onTimeout: { value: { ok: false, by: "time" } } });
  const bareGiven = w.signal("bare-given", { timeout: "1h", onTimeout: { value: undefined } });
  const conditional = w.signal("conditional", {
    after: [begin, plain],
    afterSettled: [aside],
    payload: z.number(),
    when: ({ input, outputs, errors }) => {
      expectType<string>()(input.id);
      expectType<string>()(outputs.begin);
      expectType<{ ok: boolean; by: string }>()(outputs.plain);
      expectType<number | undefined>()(outputs.aside);
      expectType<StepError | undefined>()(errors.aside);
      // @ts-expect-error: no dependency of this signal
      void outputs.bare;
      return outputs.plain.ok;
    },
  });
  const rescuing = w.signal("rescuing", { afterFailed: [aside], payload: z.string() });
  const following = w.signal("following", { after: [begin], skipWithDependency: true, payload: z.string() });
  const nap = w.sleep("nap", { after: [begin], duration: "3d" });
  const until = w.sleep("until", {
    after: [begin, given],
    afterAny: [aside],
    when: ({ outputs }) => outputs.given.ok,
    until: ({ outputs, input }) => {
      expectType<number | undefined>()(outputs.aside);
      // @ts-expect-error: no dependency of this sleep
      void outputs.nap;
      return input.note === "" ? outputs.begin : new Date(0);
    },
  });
  // @ts-expect-error: a value has to fit the payload
  w.signal("unfit", { payload: Answer, timeout: "1h", onTimeout: { value: { ok: "no", by: "time" } } });
  // @ts-expect-error: a value has all of the payload, as dependants see it
  w.signal("partial", { payload: Answer, timeout: "1h", onTimeout: { value: { ok: false } } });
  // @ts-expect-error: without payload there is no value
  w.signal("valued", { timeout: "1h", onTimeout: { value: 5 } });
  // @ts-expect-error: no such choice
  w.signal("retrying", { timeout: "1h", onTimeout: "retry" });
  // @ts-expect-error: not a duration
  w.signal("soon", { timeout: "soon" });
  // @ts-expect-error: when decides with a boolean
  w.signal("odd-signal", { when: () => "yes" });
  // @ts-expect-error: what waits runs no code
  w.signal("running", { run: () => 1 });
  // @ts-expect-error: a sleep says how long
  w.sleep("endless");
  // @ts-expect-error: until gives a time
  w.sleep("numeric", { until: () => 5 });
  // @ts-expect-error: not a duration
  w.sleep("unitless-sleep", { duration: 5000 });
  // @ts-expect-error: a sleep has no payload
  w.sleep("asked", { duration: "1h", payload: Answer });
  return w.step("all", {
    after: [bare, plain, failing, skipping, given, bareGiven, conditional, rescuing, following, nap, until],
    run: ({ outputs }) => {
      expectType<undefined>()(outputs.bare);
      expectType<{ ok: boolean; by: string }>()(outputs.plain);
      expectType<{ ok: boolean; by: string }>()(outputs.failing);
      expectType<{ ok: boolean; by: string } | undefined>()(outputs.skipping);
      expectType<{ ok: boolean; by: string }>()(outputs.given);
      expectType<undefined>()(outputs["bare-given"]);
      expectType<number | undefined>()(outputs.conditional);
      expectType<string | undefined>()(outputs.rescuing);
      expectType<string | undefined>()(outputs.following);
      expectType<undefined>()(outputs.nap);
      expectType<undefined>()(outputs.until);
      return outputs.given.by;
    },
  });
});
expectWorkflow<"asking", { id: string; lines: number[]; note?: string | undefined }, string>()(asking);

const answered = workflow("answered", {}, (w) =>
  w.signal("answer", { payload: z.string(), timeout: "1h", onTimeout: "skip" }),
);
expectWorkflow<"answered", undefined, string | undefined>()(answered);

const interrupting = workflow("interrupting", {}, (w) => {
  w.callback("called", {
    // @ts-expect-error: a callback asks nobody else
    run: ({ interrupt }) => interrupt,
  });
  return w.step("ask", {
    heartbeatTimeout: "10s",
    run: async ({ interrupt, heartbeat, lastHeartbeat }) => {
      const first = await interrupt({ question: "Well?" }, z.object({ ok: z.boolean(), by: z.string().default("") }));
      expectType<{ ok: boolean; by: string }>()(first);
      const second = await interrupt("How many?", z.coerce.number());
      expectType<number>()(second);
      heartbeat({ row: 5 });
      heartbeat();
      expectType<unknown>()(lastHeartbeat);
      // @ts-expect-error: an answer has a schema
      void interrupt("No schema?");
      return second;
    },
  });
});
expectType<number>()(0 as OutputOf<typeof interrupting>);

const calling = workflow("calling", { input: Order }, (w) => {
  const begin = w.step("begin", { run: () => ({ id: "Q-1" }) });
  const aside = w.step("aside", { onFailure: "continue", run: () => 7 });
  const paid = w.callback("payment", {
    after: [begin],
    afterSettled: [aside],
    output: z.object({ reference: z.string(), cents: z.coerce.number() }),
    run: async ({ token, input, outputs, errors, attempt, idempotencyKey, signal, background }) => {
      expectType<string>()(token);
      expectType<string>()(input.id);
      expectType<{ id: string }>()(outputs.begin);
      expectType<number | undefined>()(outputs.aside);
      expectType<StepError | undefined>()(errors.aside);
      expectType<number>()(attempt);
      expectType<AbortSignal>()(signal);
      background(Promise.resolve(idempotencyKey));
      return "is not kept";
    },
    timeout: "2d",
    heartbeatTimeout: "10m",
    attemptTimeout: "30s",
    retry: { maxAttempts: 2, isRetryable: () => true },
  });
  const bare = w.callback("bare", { run: () => undefined });
  const conditional = w.callback("conditional", { output: z.string(), when: () => true, run: () => undefined });
  // @ts-expect-error: a callback hands its token out
  w.callback("mute", { output: z.string() });
  // @ts-expect-error: only the code of a callback has a token
  w.step("tokenless", { run: ({ token }) => token });
  // @ts-expect-error: not a duration
  w.callback("soon", { run: () => undefined, heartbeatTimeout: "soon" });
  // @ts-expect-error: no dependency of this callback
  w.callback("stranger", { after: [begin], run: ({ outputs }) => outputs.payment });
  return w.step("end", {
    after: [paid, bare, conditional],
    run: ({ outputs }) => {
      expectType<{ reference: string; cents: number }>()(outputs.payment);
      expectType<undefined>()(outputs.bare);
      expectType<string | undefined>()(outputs.conditional);
      return outputs.payment.cents;
    },
  });
});
expectType<number>()(0 as OutputOf<typeof calling>);

const every = { type: "fixed", base: "10s" } as const;
const polling = workflow("polling", { input: Order }, (w) => {
  const begin = w.step("begin", { run: () => "job-7" });
  const job = w.poll("job", {
    after: [begin],
    run: ({ input, outputs, attempt }) => {
      expectType<string>()(input.id);
      expectType<string>()(outputs.begin);
      return { rows: attempt, done: attempt > 1 };
    },
    until: (look) => {
      expectType<{ rows: number; done: boolean }>()(look);
      return look.done;
    },
    interval: every,
    timeout: "1h",
  });
  const shaped = w.poll("shaped", {
    output: z.object({ at: z.coerce.number() }),
    run: () => ({ at: "5" }),
    until: ({ at }) => at > 3,
    interval: every,
    maxAttempts: Infinity,
    when: () => Math.random() > 1,
  });
  // @ts-expect-error: a poll says how long it pauses
  w.poll("hasty", { run: () => 1, until: () => true, timeout: "1h" });
  // @ts-expect-error: a poll knows what it waits for
  w.poll("aimless", { run: () => 1, interval: every, timeout: "1h" });
  // @ts-expect-error: until decides with a boolean
  w.poll("vague", { run: () => 1, until: () => "yes", interval: every, timeout: "1h" });
  // @ts-expect-error: the schema wants a number
  w.poll("unfit-look", { output: z.number(), run: () => "text", until: () => true, interval: every, timeout: "1h" });
  return w.step("end", {
    after: [job, shaped],
    run: ({ outputs }) => {
      expectType<{ rows: number; done: boolean }>()(outputs.job);
      expectType<{ at: number } | undefined>()(outputs.shaped);
      return outputs.job.rows;
    },
  });
});
expectType<number>()(0 as OutputOf<typeof polling>);

const parcel = workflow("parcel", { input: z.object({ to: z.string(), kilos: z.number().default(1) }) }, (w) =>
  w.step("label", { run: ({ input }) => ({ text: input.to, kilos: input.kilos }) }),
);
const bare = workflow("bare", {}, (w) => w.step("a", { run: () => 1 }));

workflow("children", { input: z.string() }, (w) => {
  const first = w.step("first", { run: () => 5 });
  const child = w.child("child", {
    workflow: parcel,
    after: [first],
    input: ({ input, outputs }) => {
      expectType<string>()(input);
      expectType<{ readonly first: number }>()(outputs);
      return { to: input };
    },
    whenParentEnds: "leave",
  });
  expectRef<"child", { text: string; kilos: number }>()(child);
  expectRef<"plain", number>()(w.child("plain", { workflow: bare }));
  expectRef<"later", number>()(w.child("later", { workflow: () => bare, after: [child] }));
  expectRef<"perhaps", number | undefined>()(w.child("perhaps", { workflow: bare, when: () => true }));
  w.child("undone", {
    workflow: parcel,
    after: [first],
    input: ({ input }) => ({ to: input }),
    compensate: ({ input, outputs, outcome, output }) => {
      expectType<string>()(input);
      expectType<{ readonly first: number }>()(outputs);
      if (outcome === "succeeded") expectType<{ text: string; kilos: number }>()(output);
      else expectType<undefined>()(output);
    },
  });
  // @ts-expect-error: a map is not undone
  w.map("undone-map", { items: () => [1], run: () => 1, compensate: () => 1 });
  // @ts-expect-error: the child takes an input
  w.child("none", { workflow: parcel });
  // @ts-expect-error: another type than the child takes
  w.child("other", { workflow: parcel, input: () => ({ to: 5 }) });
  // @ts-expect-error: the child takes no input
  w.child("some", { workflow: bare, input: () => 5 });
  // @ts-expect-error: not a step of after
  w.child("unnamed", { workflow: parcel, input: ({ outputs }) => ({ to: outputs.first }) });
});

workflow("maps", { input: z.object({ files: z.array(z.string()) }) }, (w) => {
  const first = w.step("first", { run: () => 5 });
  const encode = w.map("encode", {
    after: [first],
    items: ({ input, outputs }) => {
      expectType<{ readonly first: number }>()(outputs);
      return input.files.map((file) => ({ file }));
    },
    concurrency: 5,
    toleratedFailures: "5%",
    retry: { maxAttempts: 2 },
    run: ({ item, index, attempt, idempotencyKey, signal, log }) => {
      expectType<{ file: string }>()(item);
      expectType<number>()(index);
      expectType<number>()(attempt);
      expectType<string>()(idempotencyKey);
      expectType<AbortSignal>()(signal);
      expectType<StepLog>()(log);
      return item.file.length;
    },
  });
  expectRef<"encode", MapResults<number>>()(encode);
  const shaped = w.map("shaped", { items: async () => [1, 2], output: z.string().length(1), run: () => "a" });
  expectRef<"shaped", MapResults<string>>()(shaped);
  const runs = w.map("runs", { each: parcel, items: () => [{ to: "Ada" }] });
  expectRef<"runs", MapResults<{ text: string; kilos: number }>>()(runs);
  const perhaps = w.map("perhaps", { items: () => [1], when: () => true, run: () => 1 });
  expectRef<"perhaps", MapResults<number> | undefined>()(perhaps);
  w.step("read", {
    after: [encode],
    run: async ({ outputs }) => {
      expectType<number>()(outputs.encode.length);
      expectType<number>()(outputs.encode.failures);
      expectType<number | undefined>()(await outputs.encode.get(0));
      expectType<(number | undefined)[]>()(await outputs.encode.toArray());
      for await (const one of outputs.encode) expectType<number | undefined>()(one);
      const [error] = await outputs.encode.errors();
      expectType<number | undefined>()(error?.index);
    },
  });
  // @ts-expect-error: an item is given neither input nor outputs
  w.map("more", { items: () => [1], run: ({ item, input }) => [item, input] });
  // @ts-expect-error: not what the child takes
  w.map("wrong", { each: parcel, items: () => [{ to: 5 }] });
  // @ts-expect-error: not what the schema takes
  w.map("unfit", { items: () => [1], output: z.string(), run: () => 5 });
  // @ts-expect-error: neither a number nor percent
  w.map("some", { items: () => [1], toleratedFailures: "some", run: () => 5 });
});

const summed = workflow("summed", {}, (w) => w.map("each", { items: () => [1], run: () => "a" }));
expectType<MapSummary>()({} as OutputOf<typeof summed>);

const limited = workflow(
  "limited",
  {
    input: Order,
    concurrency: {
      key: ({ input }) => {
        expectType<string>()(input.id);
        return input.id;
      },
      limit: 2,
    },
  },
  (w) => {
    const first = w.step("first", { rateLimit: { key: "api", limit: 10, per: "1s" }, run: () => ({ region: "eu" }) });
    const second = w.step("second", {
      after: [first],
      rateLimit: {
        key: ({ input, outputs }) => {
          expectType<string>()(input.id);
          expectType<string>()(outputs.first.region);
          return outputs.first.region;
        },
        limit: 10,
        per: "1m",
      },
      run: ({ outputs }) => {
        expectType<string>()(outputs.first.region);
        return 1;
      },
    });
    // @ts-expect-error: a key sees only what the step may read
    w.step("blind", { rateLimit: { key: ({ outputs }) => outputs.first, limit: 1, per: "1s" }, run: () => 1 });
    // @ts-expect-error: a key is a text, at once
    w.step("late", { rateLimit: { key: async () => "a", limit: 1, per: "1s" }, run: () => 1 });
    // @ts-expect-error: a rate counts over a time
    w.step("timeless", { rateLimit: { limit: 1 }, run: () => 1 });
    // @ts-expect-error: what only waits has no rate
    w.sleep("nap", { duration: "1s", rateLimit: { limit: 1, per: "1s" } });
    return w.poll("third", {
      after: [second],
      rateLimit: { limit: 1, per: "1s" },
      run: () => 1,
      until: () => true,
      interval: every,
      maxAttempts: 2,
    });
  },
);
expectType<number>()(0 as OutputOf<typeof limited>);
// @ts-expect-error: without an input there is nothing to compute a key from
workflow("keyless", { concurrency: { key: ({ input }) => input.id, limit: 1 } }, () => {});
// @ts-expect-error: a limit is needed
workflow("unlimited", { concurrency: { key: "all" } }, () => {});
const Payment = z.object({ paymentId: z.string(), cents: z.coerce.number() });

const undoable = workflow("undoable", { input: Order }, (w) => {
  const validate = w.step("validate", { run: () => ({ total: 5 }) });
  const aside = w.step("aside", { onFailure: "continue", run: () => 7 });
  const charge = w.step("charge", {
    after: [validate],
    afterSettled: [aside],
    run: async ({ outputs }) => ({ paymentId: "p", cents: outputs.validate.total }),
    compensate: (context) => {
      expectType<"succeeded" | "unknown">()(context.outcome);
      expectType<{ paymentId: string; cents: number } | undefined>()(context.output);
      // The cut-off case is in the type, and yet need not be told apart.
      expectType<string | undefined>()(context.output?.paymentId);
      if (context.outcome === "succeeded") expectType<{ paymentId: string; cents: number }>()(context.output);
      else expectType<undefined>()(context.output);
      expectType<number>()(context.outputs.validate.total);
      expectType<number | undefined>()(context.outputs.aside);
      expectType<StepError | undefined>()(context.errors.aside);
      expectType<string>()(context.input.id);
      expectType<string>()(context.idempotencyKey);
      expectType<number>()(context.attempt);
      expectType<AbortSignal>()(context.signal);
      expectType<StepLog>()(context.log);
      context.background(Promise.resolve(5));
      // @ts-expect-error: no step is awaited for its failure here
      void context.errors.validate;
      // @ts-expect-error: no dependency of this step
      void context.outputs.charge;
    },
  });
  expectRef<"charge", { paymentId: string; cents: number }>()(charge);
  w.step("apart", {
    run: () => "text",
    compensate: ({ outcome, output }) => {
      if (outcome === "succeeded") expectType<string>()(output);
      else expectType<undefined>()(output);
    },
  });
  const shaped = w.step("shaped", {
    output: Payment,
    run: () => ({ paymentId: "p", cents: "5" }),
    compensate: {
      retry: { maxAttempts: Infinity, isRetryable: (error) => error instanceof Error },
      timeout: "2m",
      run: async ({ output }) => {
        expectType<{ paymentId: string; cents: number } | undefined>()(output);
        return Promise.resolve("what it returns is not kept");
      },
    },
  });
  expectRef<"shaped", { paymentId: string; cents: number }>()(shaped);
  const perhaps = w.step("perhaps", {
    after: [shaped],
    when: ({ outputs }) => outputs.shaped.cents > 5,
    run: () => 1,
    // One that was skipped is not undone.
    compensate: ({ output }) => expectType<number | undefined>()(output),
  });
  expectRef<"perhaps", number | undefined>()(perhaps);
  const job = w.poll("job", {
    after: [charge],
    run: ({ outputs }) => ({ jobId: outputs.charge.paymentId, done: true }),
    until: ({ done }) => done,
    interval: every,
    timeout: "1h",
    compensate: ({ output, outputs }) => {
      expectType<{ jobId: string; done: boolean } | undefined>()(output);
      expectType<{ paymentId: string; cents: number }>()(outputs.charge);
    },
  });
  expectRef<"job", { jobId: string; done: boolean }>()(job);
  // @ts-expect-error: it may have been cut off, and has no output then
  w.step("sure", { run: () => ({ id: "x" }), compensate: ({ output }) => output.id });
  // @ts-expect-error: the output has no such property
  w.step("other", { run: () => ({ id: "x" }), compensate: ({ output }) => output?.name });
  // @ts-expect-error: an attempt that plainly failed is not undone
  w.step("failure", { run: () => 1, compensate: ({ outcome }) => outcome === "failed" });
  // @ts-expect-error: code, not a step
  w.step("by-step", { run: () => 1, compensate: charge });
  // @ts-expect-error: options need their code
  w.step("codeless", { run: () => 1, compensate: { timeout: "1m" } });
  // @ts-expect-error: not a duration
  w.step("unitless-undo", { run: () => 1, compensate: { run: () => 1, timeout: 5_000 } });
  // @ts-expect-error: no such option
  w.step("optional", { run: () => 1, compensate: { run: () => 1, onFailure: "continue" } });
  // @ts-expect-error: undoing is not undone
  w.step("twice", { run: () => 1, compensate: { run: () => 1, compensate: () => 1 } });
  // @ts-expect-error: what waits has done nothing
  w.signal("asked-in-vain", { compensate: () => 1 });
  // @ts-expect-error: what waits has done nothing
  w.sleep("slept-in-vain", { duration: "1h", compensate: () => 1 });
  return charge;
});
expectType<{ paymentId: string; cents: number }>()({} as OutputOf<typeof undoable>);

// A schedule: by cron or by interval, with an input where the workflow needs one.
workflow("nightly", { schedule: { cron: "0 3 * * *", timezone: "Europe/Berlin" } }, () => {});
workflow("often", { schedule: { every: "15m" } }, () => {});
workflow("reporting", { input: Order, schedule: { every: "1d", input: { id: "a", lines: [] } } }, () => {});
workflow("optional", { input: Order.optional(), schedule: { every: "1d" } }, () => {});
// @ts-expect-error: the input is what a start takes
workflow("reporting", { input: Order, schedule: { every: "1d", input: { id: 1, lines: [] } } }, () => {});
// @ts-expect-error: the workflow needs an input
workflow("reporting", { input: Order, schedule: { every: "1d" } }, () => {});
// @ts-expect-error: the workflow takes none
workflow("often", { schedule: { every: "15m", input: { id: "a" } } }, () => {});
// @ts-expect-error: one of the two
workflow("both", { schedule: { every: "15m", cron: "0 3 * * *" } }, () => {});
// @ts-expect-error: it says neither of the two
workflow("neither", { schedule: {} }, () => {});
// @ts-expect-error: an interval has no time zone
workflow("zoned", { schedule: { every: "15m", timezone: "UTC" } }, () => {});
