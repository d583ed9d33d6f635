// Runs of every kind, brought as far as they can go and left open: between them, everything that Pawl stores and sends.
import { z } from "zod";
import { FatalError } from "../../lib/definition/errors.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import type { Engine } from "../../lib/embedded/engine.ts";

const hour = 3_600_000;
const patient = { maxAttempts: 3, backoff: { type: "fixed", base: "1h", max: "1h" } } as const;

/** Secrets that partners were given, by run. They are part of the story: who tells its end needs them. */
type Tokens = Record<string, string>;

export interface Story {
  readonly workflows: ReturnType<typeof storyWorkflows>;
  readonly tokens: Tokens;
}

/** @param isMended the code that fails and waits in the first half of the story does its work now */
export function createStory(isMended: boolean): Story {
  const tokens: Tokens = {};
  return { workflows: storyWorkflows(isMended, tokens), tokens };
}

function storyWorkflows(isMended: boolean, tokens: Tokens) {
  const fail = (message: string): void => {
    if (!isMended) throw new Error(message);
  };
  const done = workflow("done", { input: z.object({ n: z.int() }), retention: "30d" }, (w) => {
    const large = w.step("large", { run: () => "x".repeat(2_000) });
    const never = w.step("never", { after: [large], when: () => false, run: () => 1 });
    return w.step("sum", { after: [large], afterAny: [never], run: ({ input }) => input.n + 1 });
  });
  const waits = workflow("waits", { timeout: "20d" }, (w) => {
    const first = w.step("first", {
      run: ({ background }) => {
        background(Promise.reject(new Error("nobody listens")));
        return 1;
      },
    });
    const approval = w.signal("approval", {
      after: [first],
      payload: z.object({ ok: z.boolean() }),
      timeout: "10d",
      onTimeout: "fail",
    });
    const early = w.signal("early", { after: [approval], payload: z.string() });
    return w.step("last", { after: [early], run: ({ outputs }) => outputs.early });
  });
  const asks = workflow("asks", {}, (w) =>
    w.step("review", { run: ({ interrupt }) => interrupt({ question: "Well?" }, z.boolean()) }),
  );
  const calls = workflow("calls", {}, (w) =>
    w.callback("paid", {
      output: z.object({ reference: z.string() }),
      timeout: "10d",
      heartbeatTimeout: "9d",
      run: ({ token, runId }) => {
        tokens[runId] = token;
      },
    }),
  );
  const sleeps = workflow("sleeps", {}, (w) => {
    const night = w.sleep("night", { duration: "8h" });
    return w.poll("job", {
      after: [night],
      run: () => isMended,
      until: (is) => is,
      interval: patient.backoff,
      timeout: "10d",
    });
  });
  const retries = workflow("retries", {}, (w) =>
    w.step("flaky", {
      retry: patient,
      heartbeatTimeout: "30s",
      rateLimit: { limit: 10, per: "1m", key: "partner" },
      run: ({ heartbeat }) => {
        heartbeat({ at: 7 });
        fail("not yet");
        return "done";
      },
    }),
  );
  const turns = workflow("turns", { concurrency: { limit: 1, key: () => "one" } }, (w) => w.signal("go", {}));
  const parent = workflow("parent", {}, (w) => {
    const child = w.child("child", { workflow: waits });
    const items = w.map("items", {
      items: () => [1, 2, 3],
      retry: patient,
      run: ({ item }) => {
        fail("item");
        return item;
      },
    });
    return w.step("both", { after: [child, items], run: ({ outputs }) => outputs.child });
  });
  const undoes = workflow("undoes", {}, (w) => {
    const held = w.step("held", { run: () => 1, compensate: { run: () => fail("busy"), retry: patient } });
    const soft = w.step("soft", {
      after: [held],
      onFailure: "continue",
      run: () => Promise.reject(new FatalError("tolerated")),
    });
    const handler = w.step("handler", { afterFailed: [soft], run: ({ errors }) => errors.soft?.name });
    return w.step("charge", {
      afterSettled: [handler],
      run: () => {
        if (!isMended) throw new FatalError("Insufficient funds");
        return "paid";
      },
    });
  });
  const hangs = workflow("hangs", {}, (w) =>
    w.step("work", { run: () => (isMended ? "done" : new Promise<string>(() => undefined)) }),
  );
  const mends = workflow("mends", {}, (w) => {
    const charge = w.step("charge", { run: () => Promise.reject(new FatalError("Insufficient funds")) });
    const told = w.step("told", { after: [charge], run: () => 1, compensate: () => undefined });
    return w.signal("go", { after: [told], payload: z.int() });
  });
  const family = workflow("family", {}, (w) => w.child("only", { workflow: done, input: () => ({ n: 1 }) }));
  return [family, mends, done, waits, asks, calls, sleeps, retries, turns, parent, undoes, hangs] as const;
}

/** The first half: everything begins, and stops where it waits. */
export async function tell(
  { commands }: Pick<Engine, "commands">,
  nowMs: () => number,
  pass: (ms: number) => Promise<void>,
): Promise<void> {
  const start = (name: string, runId: string, request: object = {}) => commands.start(name, { runId, ...request });
  await start("done", "done-1", { input: { n: 1 }, tags: { customer: "c-9" } });
  await start("done", "later", { input: { n: 1 }, startAt: new Date(nowMs() + 24 * hour) });
  await start("waits", "waits-1");
  await start("waits", "paused");
  await start("asks", "asks-1");
  await start("calls", "calls-1");
  await start("sleeps", "sleeps-1");
  await start("sleeps", "polls-1");
  await start("retries", "retries-1");
  await start("turns", "turns-1");
  await start("turns", "turns-2");
  await start("turns", "turns-3");
  await start("mends", "again-1");
  await start("undoes", "failed-1");
  await start("mends", "byhand-1");
  await start("waits", "gone");
  await pass(1_000);
  await commands.signal("waits-1", "early", "bird");
  await commands.pause("paused");
  await commands.cancel("gone");
  await pass(9 * hour);
  await commands.redrive("byhand-1", { set: { charge: "in cash" }, by: "ada", reason: "paid in cash" });
  await commands.fork("done-1", { from: "sum", runId: "forked-1" });
  await commands.redrive("again-1", { set: { charge: "in cash" }, by: "ada", reason: "paid in cash" });
  await pass(1_000);
  await commands.cancel("again-1");
  await pass(1_000);
  await commands.redrive("again-1");
  await start("undoes", "unwinding-1");
  await start("parent", "parent-1");
  await start("family", "family-1");
  await start("parent", "orphans-1");
  await pass(1_000);
  await commands.cancel("orphans-1");
  await start("sleeps", "night-1");
  await start("retries", "retries-2");
  await start("hangs", "hangs-1");
  await pass(1_000);
}

/** The second half, by code that does its work: all that was open comes to its end. */
export async function tellTheEnd(
  { commands }: Pick<Engine, "commands">,
  tokens: Tokens,
  pass: (ms: number) => Promise<void>,
): Promise<Record<string, string>> {
  const { steps } = await commands.get("asks-1");
  await commands.answer("asks-1", steps.review?.interrupt?.id ?? "", true);
  await commands.callbacks.succeed(tokens["calls-1"] ?? "", { reference: "P-7" });
  await commands.resume("paused");
  for (const runId of ["byhand-1", "again-1"]) await commands.signal(runId, "go", 1);
  for (const runId of ["waits-1", "paused", "parent-1~child"]) await commands.signal(runId, "approval", { ok: true });
  for (const runId of ["paused", "parent-1~child"]) await commands.signal(runId, "early", "bird");
  for (const runId of ["turns-1", "turns-2", "turns-3"]) {
    await commands.signal(runId, "go");
    await pass(1_000);
  }
  await pass(48 * hour);
  // First it goes on with what could not be undone.
  for (let time = 0; time < 2; time++) {
    await commands.redrive("failed-1");
    await pass(1_000);
  }
  return Object.fromEntries(
    await Promise.all(storyRuns.map(async (runId) => [runId, (await commands.get(runId)).status] as const)),
  );
}

export const storyRuns = [
  "done-1",
  "later",
  "waits-1",
  "paused",
  "asks-1",
  "calls-1",
  "sleeps-1",
  "polls-1",
  "night-1",
  "retries-1",
  "retries-2",
  "turns-1",
  "turns-2",
  "turns-3",
  "parent-1",
  "parent-1~child",
  "failed-1",
  "byhand-1",
  "again-1",
  "family-1",
  "orphans-1",
  "orphans-1~child",
  "unwinding-1",
  "hangs-1",
  "gone",
  "forked-1",
];
