// What the server under fire serves: one workflow for each way in which a run goes on. Every step writes what it does into
// the journal, which is no part of the engine's data, and its output names the execution that it came from.
import { randomUUID } from "node:crypto";
import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { FatalError, type StepRef, workflow } from "pawl";
import * as z from "zod";
import type { Deed } from "./journal.ts";

const { PAWL_SOAK_FOLDER: folder = ".", PAWL_SOAK_PARTNER: partner = "" } = process.env;
const journal = join(folder, "journal");

/** What a step has made: its value, and the execution that made it. */
interface Made {
  readonly value: number;
  readonly token: string;
}

type Context = Pick<Deed, "runId" | "stepId" | "attempt"> & {
  readonly idempotencyKey: string;
  readonly outputs?: Readonly<Record<string, unknown>>;
};

/** Writes the deed down before it is done: an execution that is cut off has left its trace. */
function note(context: Context, what: Deed["what"], more: Partial<Deed> = {}): string {
  const { runId, stepId, attempt, idempotencyKey: key } = context;
  const token = randomUUID();
  const deed: Deed = { what, runId, stepId, attempt, key, token, saw: tokensOf(context.outputs), atMs: Date.now() };
  appendFileSync(journal, `${JSON.stringify({ ...deed, ...more })}\n`);
  return token;
}

function tokensOf(outputs: Context["outputs"] = {}): Deed["saw"] {
  const tokens = Object.entries(outputs).map(([stepId, made]) => [stepId, (made as Made | undefined)?.token]);
  return Object.fromEntries(tokens.filter(([, token]) => typeof token === "string")) as Deed["saw"];
}

async function make(context: Context, value: number): Promise<Made> {
  const token = note(context, "do");
  await sleep(Math.random() * 30);
  return { value, token };
}

const undo = (context: Omit<Context, "outputs">): void => void note({ ...context, outputs: {} }, "undo");

// A killed worker uses an attempt up, and here workers are killed all the time.
const retry = { maxAttempts: 1_000, backoff: { type: "fixed", base: "10ms" } } as const;
const options = { input: z.int(), defaults: { retry } } as const;

export const chain = workflow("chain", options, (w) => {
  let last: StepRef<string, Made> = w.step("step-0", { run: (context) => make(context, context.input) });
  for (let n = 1; n < 6; n++) {
    const before = last;
    last = w.step(`step-${n}`, {
      after: [before],
      run: (context) => make(context, context.outputs[before.id]!.value + 1),
    });
  }
  return last;
});

/** One of its branches is a blob in every tenth run. */
export const fan = workflow("fan", options, (w) => {
  const first = w.step("first", { run: (context) => make(context, context.input) });
  const branches = [1, 2, 3, 4].map((n) =>
    w.step(`branch-${n}`, {
      after: [first],
      run: async (context) => {
        const made = await make(context, context.outputs.first.value + n);
        return { ...made, padding: "x".repeat(n === 4 && context.input % 10 === 0 ? 400_000 : n * 300) };
      },
    }),
  );
  return w.step("join", {
    after: branches,
    run: (context) =>
      make(
        context,
        Object.values(context.outputs).reduce((sum, { value }) => sum + value, 0),
      ),
  });
});

export const map = workflow("map", options, (w) => {
  const items = w.map("items", {
    items: ({ input }) => Array.from({ length: 5 + (input % 30) }, (_, index) => index),
    concurrency: 8,
    run: async (context) => {
      const token = note(context, "do", { stepId: `items:${context.index}` });
      await sleep(Math.random() * 10);
      return { value: context.item * 2, token };
    },
  });
  return w.step("sum", {
    after: [items],
    run: async (context) => {
      const made = (await context.outputs.items.toArray()) as Made[];
      const saw = Object.fromEntries(made.map(({ token }, index) => [`items:${index}`, token]));
      return {
        value: made.reduce((sum, { value }) => sum + value, 0),
        token: note({ ...context, outputs: {} }, "do", { saw }),
      };
    },
  });
});

export const parent = workflow("parent", options, (w) => {
  const child = w.child("child", { workflow: chain, input: ({ input }) => input });
  return w.step("after", { after: [child], run: (context) => make(context, context.outputs.child.value + 1) });
});

export const signalled = workflow("signalled", options, (w) => {
  const before = w.step("before", { run: (context) => make(context, context.input) });
  const go = w.signal("go", { after: [before], payload: z.object({ value: z.int(), token: z.string() }) });
  return w.step("after", { after: [go], run: (context) => make(context, context.outputs.go.value) });
});

/** The partner answers by the token that it is given. */
export const called = workflow("called", options, (w) => {
  const call = w.callback("call", {
    output: z.object({ value: z.int(), token: z.string() }),
    run: async (context) => {
      note(context, "do");
      const { runId, attempt, token } = context;
      await fetch(partner, { method: "POST", body: JSON.stringify({ runId, attempt, token }) });
    },
  });
  return w.step("after", { after: [call], run: (context) => make(context, context.outputs.call.value) });
});

/** Asks a person. What comes before the question is done again with the answer, so only what comes after it is noted. */
export const asking = workflow("asking", options, (w) => {
  const ask = w.step("ask", {
    run: async (context) => make(context, await context.interrupt("How much?", z.int())),
  });
  return w.step("after", { after: [ask], run: (context) => make(context, context.outputs.ask.value) });
});

/** Two of three attempts fail. */
export const flaky = workflow("flaky", options, (w) => {
  const first = w.step("flaky", {
    run: async (context) => {
      const made = await make(context, context.input);
      if (context.attempt % 3 !== 0) throw new Error("not this time");
      return made;
    },
  });
  return w.step("after", { after: [first], run: (context) => make(context, context.outputs.flaky.value) });
});

export const sleeping = workflow("sleeping", options, (w) => {
  const before = w.step("before", { run: (context) => make(context, context.input) });
  const nap = w.sleep("nap", { after: [before], duration: "150ms" });
  return w.step("after", {
    after: [before, nap],
    delay: "50ms",
    run: (context) => make(context, context.outputs.before.value),
  });
});

/** Fails at its end when the input is even; the others may be cancelled. What was done is undone then. */
export const saga = workflow("saga", options, (w) => {
  const book = w.step("book", { run: (context) => make(context, context.input), compensate: undo });
  const pay = w.step("pay", { after: [book], run: (context) => make(context, context.input), compensate: undo });
  const send = w.step("send", { after: [book], run: (context) => make(context, context.input), compensate: undo });
  return w.step("end", {
    after: [pay, send],
    run: async (context) => {
      const made = await make(context, context.outputs.pay.value);
      if (context.input % 2 === 0) throw new FatalError("even");
      return made;
    },
  });
});

/** Fails until it is mended, and is redriven then. */
export const mendable = workflow("mendable", options, (w) => {
  const before = w.step("before", { run: (context) => make(context, context.input) });
  return w.step("broken", {
    after: [before],
    run: async (context) => {
      const made = await make(context, context.outputs.before.value);
      if (!existsSync(join(folder, "mended", context.runId))) throw new FatalError("broken");
      return made;
    },
  });
});

/** At most three at a time of each key, and a step that may not begin too often. */
export const queued = workflow(
  "queued",
  { ...options, concurrency: { key: ({ input }) => String(input % 2), limit: 3 } },
  (w) => {
    const first = w.step("first", {
      rateLimit: { limit: 40, per: "1s" },
      run: (context) => make(context, context.input),
    });
    return w.step("second", { after: [first], run: (context) => make(context, context.outputs.first.value) });
  },
);
