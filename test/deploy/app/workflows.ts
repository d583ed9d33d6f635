// What the scenarios run: deployed by app.ts, and served by `pawl dev` for comparison. One workflow per thing to be shown.
import { randomUUID } from "node:crypto";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { FatalError, RetryableError, type StepRef, workflow } from "pawl";
import * as z from "zod";

export { order } from "../../../examples/order.ts";

const second = { type: "fixed", base: "1s" } as const;

/** Fails in three ways, each of which ends otherwise. The step of another task queue has a function of its own. */
export const retries = workflow("retries", { defaults: { retry: { maxAttempts: 4, backoff: second } } }, (w) => {
  const flaky = w.step("flaky", {
    run: ({ attempt }) => {
      if (attempt === 1) throw new Error("not yet");
      if (attempt === 2) throw new RetryableError("busy", { after: "2s" });
      return attempt;
    },
  });
  const slow = w.step("slow", {
    taskQueue: "inventory",
    timeout: "1s",
    run: async ({ attempt, signal }) => {
      if (attempt === 1) await setTimeout(30_000, undefined, { signal });
      return attempt;
    },
  });
  const refused = w.step("refused", {
    onFailure: "continue",
    run: () => {
      throw new FatalError("never");
    },
  });
  return w.step("sum", {
    after: [flaky, slow],
    afterFailed: [refused],
    run: ({ outputs, errors }) => ({ attempts: outputs.flaky + outputs.slow, refused: errors.refused?.message }),
  });
});

/** Its worker dies in the middle of the first attempt. */
export const crash = workflow("crash", { defaults: { retry: { maxAttempts: 3, backoff: second } } }, (w) => {
  const fragile = w.step("fragile", {
    // The engine may be one process: whoever started the run has had its answer by then.
    delay: "1s",
    run: ({ attempt }) => {
      if (attempt === 1) process.exit(1);
      return `survived as attempt ${attempt}`;
    },
  });
  return w.step("after", { after: [fragile], run: ({ outputs }) => outputs.fragile });
});

export const fanOut = workflow("fan-out", { input: z.object({ items: z.int().min(0) }) }, (w) => {
  const squares = w.map("squares", {
    items: ({ input }) => Array.from({ length: input.items }, (_, index) => index),
    toleratedFailures: 1,
    run: ({ item }) => {
      if (item === 13) throw new FatalError("unlucky");
      return item * item;
    },
  });
  return w.step("total", {
    after: [squares],
    run: async ({ outputs }) => {
      let total = 0;
      for await (const square of outputs.squares) total += square ?? 0;
      return { items: outputs.squares.length, failures: outputs.squares.failures, total };
    },
  });
});

export const greeting = workflow("greeting", { input: z.object({ name: z.string() }) }, (w) =>
  w.step("greet", { run: ({ input }) => `Hello, ${input.name}` }),
);

export const family = workflow("family", { input: z.object({ names: z.array(z.string()) }) }, (w) => {
  const first = w.child("first", { workflow: greeting, input: ({ input }) => ({ name: input.names[0] ?? "nobody" }) });
  const rest = w.map("rest", {
    each: greeting,
    items: ({ input }) => input.names.slice(1).map((name) => ({ name })),
    concurrency: 2,
  });
  return w.step("together", {
    after: [first, rest],
    run: async ({ outputs }) => [outputs.first, ...(await outputs.rest.toArray())],
  });
});

const hops = 40;

/** Longer than Lambda's loop detection would let through on its own. */
export const chain = workflow("chain", {}, (w) => {
  let last: StepRef<string, number> = w.step("hop-1", { run: () => 1 });
  for (let hop = 2; hop <= hops; hop++) {
    const before = last;
    last = w.step(`hop-${hop}`, { after: [before], run: ({ outputs }) => (outputs[before.id] ?? 0) + 1 });
  }
  return last;
});

export const signals = workflow("signals", {}, (w) => {
  const busy = w.step("busy", { run: () => setTimeout(3_000, "rested") });
  const early = w.signal("early", { after: [busy], payload: z.object({ sent: z.string() }) });
  const late = w.signal("late", { after: [early], payload: z.object({ sent: z.string() }) });
  const never = w.signal("never", { after: [early], timeout: "2s", onTimeout: { value: undefined } });
  return w.step("both", {
    after: [early, late, never],
    run: ({ outputs }) => [outputs.early.sent, outputs.late.sent],
  });
});

export const cancellation = workflow("cancellation", {}, (w) => {
  const book = w.step("book", { run: () => ({ seat: "12A" }), compensate: ({ log }) => log.info("seat given back") });
  const wait = w.signal("wait", { after: [book] });
  w.step("fly", { after: [wait], run: () => "landed" });
});

export const outside = workflow("outside", { input: z.object({ partner: z.url() }) }, (w) => {
  const answer = w.callback("answer", {
    output: z.object({ accepted: z.boolean() }),
    timeout: "5m",
    heartbeatTimeout: "1m",
    // The outside party: it is given the token, and answers later.
    run: async ({ input, token }) => {
      await fetch(input.partner, { method: "POST", body: token });
    },
  });
  return w.step("end", { after: [answer], run: ({ outputs }) => outputs.answer.accepted });
});

/** Longer than SQS can delay a message: another service must wake it. */
export const nap = workflow("nap", {}, (w) => {
  const sleep = w.sleep("sleep", { duration: "20m" });
  w.step("wake", { after: [sleep], run: () => "rested" });
});

const large = z.object({ text: z.string() });

/** Payloads above what an item of the store holds. */
export const luggage = workflow("luggage", { input: large }, (w) => {
  const double = w.step("double", { run: ({ input }) => input.text.repeat(2) });
  return w.step("weigh", { after: [double], run: ({ outputs }) => outputs.double.length });
});

/** What its last step needs is lost before that begins. */
export const bereft = workflow("bereft", {}, (w) => {
  const pack = w.step("pack", { run: () => "x".repeat(350_000), compensate: ({ log }) => log.info("given back") });
  w.step("read", { after: [pack], delay: "8s", run: ({ outputs }) => outputs.pack.length });
});

const part = workflow("part", {}, (w) => w.step("only", { run: () => 1 }));

/** A run that nobody can read is where its last step would start one: nobody can ever handle the step's message. */
export const doomed = workflow("doomed", {}, (w) => {
  const book = w.step("book", { run: () => "booked", compensate: ({ log }) => log.info("given back") });
  w.child("ask", { workflow: part, after: [book], taskQueue: "fragile", delay: "8s", whenParentEnds: "leave" });
});

/** Tells somebody of each execution as it begins, and of the process that it is in: he may kill it. */
export const mortal = workflow(
  "mortal",
  {
    input: z.object({ journal: z.url() }),
    // A worker that is killed uses an attempt up.
    defaults: { retry: { maxAttempts: 50, backoff: second } },
  },
  (w) => {
    const first = w.step("first", { run: (context) => tell(context) });
    const left = w.step("left", { after: [first], run: (context) => tell(context) });
    const right = w.step("right", { after: [first], run: (context) => tell(context) });
    const join = w.step("join", { after: [left, right], run: (context) => tell(context) });
    return w.step("last", { after: [join], run: (context) => tell(context) });
  },
);

interface Told {
  readonly token: string;
}

async function tell(context: {
  readonly input: { readonly journal: string };
  readonly outputs: Readonly<Record<string, Told>>;
  readonly runId: string;
  readonly stepId: string;
  readonly attempt: number;
  readonly idempotencyKey: string;
}): Promise<Told> {
  const { runId, stepId, attempt, idempotencyKey: key, input, outputs } = context;
  const token = randomUUID();
  const saw = Object.fromEntries(Object.entries(outputs).map(([id, made]) => [id, made.token]));
  const deed = { what: "do", runId, stepId, attempt, key, token, saw, atMs: Date.now() };
  await fetch(input.journal, { method: "POST", body: JSON.stringify({ deed, pid: process.pid }) });
  await setTimeout(300);
  return { token };
}

/** Begins by itself. */
export const report = workflow(
  "report",
  {
    input: z.object({ kind: z.string() }),
    schedule: { cron: "0 6 * * MON-FRI", timezone: "Europe/Berlin", input: { kind: "daily" } },
  },
  (w) => w.step("write", { run: ({ input }) => `the ${input.kind} report` }),
);
