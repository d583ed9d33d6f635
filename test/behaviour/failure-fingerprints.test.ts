// Hunts: runs that failed of one bug and cannot be found together, and failures that are put together and are not alike.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { FatalError, type Workflow, workflow } from "../../lib/index.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { harness } from "./harness.ts";

const day = 86_400_000;

const broken = (order: number): never => {
  throw new FatalError(`Order ${order} is broken`);
};

/** The fingerprints of runs of the workflow with these inputs, after so much time. */
async function fingerprints<Input>(
  of: Workflow<string, Input>,
  inputs: readonly Input[],
  passMs = 0,
): Promise<{
  readonly found: ReadonlySet<string | undefined>;
  readonly runs: readonly RunView[];
  readonly show: (runId: string) => Promise<RunView>;
}> {
  const { run, show } = await harness([of]);
  const runs: RunView[] = [];
  for (const input of inputs) runs.push(await run(of, input, passMs));
  return { found: new Set(runs.map(({ error }) => error?.fingerprint)), runs, show };
}

async function fingerprint<Input>(of: Workflow<string, Input>, input: Input, passMs = 0): Promise<string> {
  const { found, runs } = await fingerprints(of, [input], passMs);
  expect(runs[0]?.status).toMatch(/failed|timed_out/);
  const [one] = found;
  expect(one).toMatch(/^[0-9a-v]{12}$/);
  return one ?? "";
}

const numbered = { input: z.number() };

describe("a failed step", () => {
  test("gives its runs one fingerprint, whatever the input and the attempt", async () => {
    const order = workflow("order", numbered, (w) =>
      w.step("charge", {
        retry: { maxAttempts: 3, backoff: { type: "fixed", base: "1s" } },
        run: ({ input, attempt }) => {
          if (attempt < input) throw new Error(`Attempt ${attempt}`);
          return broken(input);
        },
      }),
    );
    expect((await fingerprints(order, [1, 2, 3], 5_000)).found.size).toBe(1);
  });

  test("has another than the same code in another step or workflow", async () => {
    const make = (name: string, step: string) =>
      workflow(name, numbered, (w) => w.step(step, { run: ({ input }) => broken(input) }));
    const all = [make("order", "charge"), make("order", "refund"), make("loan", "charge")];
    expect(new Set(await Promise.all(all.map((of) => fingerprint(of, 1)))).size).toBe(3);
  });

  test("keeps it through a redrive that fails in the same way", async () => {
    const order = workflow("order", numbered, (w) => w.step("charge", { run: ({ input }) => broken(input) }));
    const { engine, run, pass, show } = await harness([order]);
    const { runId, error } = await run(order, 1);
    await engine.commands.redrive(runId);
    await pass(0);
    expect((await show(runId)).error).toEqual(error);
  });
});

describe("a failure without a stack", () => {
  test.each([
    [
      "a step's timeout",
      "StepTimeout",
      (w) => w.step("a", { timeout: "1m", retry: { maxAttempts: 1 }, run: () => new Promise(() => undefined) }),
    ],
    ["a signal that did not come", "SignalTimeout", (w) => w.signal("a", { timeout: "1h" })],
    [
      "a callback that was not answered",
      "CallbackTimeout",
      (w) => w.callback("a", { timeout: "1h", retry: { maxAttempts: 1 }, run: () => undefined }),
    ],
    [
      "a poll that gave up",
      "PollExhausted",
      (w) => w.poll("a", { timeout: "1h", interval: { type: "fixed", base: "10m" }, run: () => 1, until: () => false }),
    ],
    [
      "what is thrown and no error",
      "NonError",
      (w) =>
        w.step("a", {
          retry: { maxAttempts: 1 },
          run: () => {
            // eslint-disable-next-line @typescript-eslint/only-throw-error -- JavaScript lets anything be thrown
            throw { order: 1 };
          },
        }),
    ],
  ] satisfies [string, string, (w: Parameters<Parameters<typeof workflow>[2]>[0]) => unknown][])(
    "%s",
    async (_what, name, build) => {
      const of = workflow("waiting", numbered, (w) => build(w as never) as never);
      const { found, runs } = await fingerprints(of, [1, 2], day);
      expect(runs.map(({ error }) => error?.name)).toEqual([name, name]);
      expect([...found]).toEqual([expect.stringMatching(/^[0-9a-v]{12}$/)]);
    },
  );

  test("of a run as a whole: its timeout", async () => {
    const of = workflow("slow", { ...numbered, timeout: "1h" }, (w) => w.sleep("long", { duration: "2d" }));
    const { found, runs } = await fingerprints(of, [1, 2], day);
    expect(runs[0]).toMatchObject({ status: "timed_out", error: { name: "RunTimeout" } });
    expect([...found]).toEqual([expect.stringMatching(/^[0-9a-v]{12}$/)]);
  });

  test("of a step that another one's tolerated failure blocks", async () => {
    const of = workflow("blocked", numbered, (w) => {
      const optional = w.step("optional", { onFailure: "continue", run: ({ input }) => broken(input) });
      return w.step("needs", { after: [optional], run: () => 1 });
    });
    const { found, runs } = await fingerprints(of, [1, 2]);
    expect(runs[0]?.error).toMatchObject({ name: "DependencyFailed", step: "needs" });
    expect([...found]).toEqual([expect.stringMatching(/^[0-9a-v]{12}$/)]);
  });

  test("that the holder of a task token tells: its words count, without what is in them", async () => {
    const of = workflow("asking", numbered, (w) =>
      w.callback("ask", { retry: { maxAttempts: 1 }, run: ({ token }) => void tokens.push(token) }),
    );
    const tokens: string[] = [];
    const { engine, run, show, pass } = await harness([of]);
    const found: (string | undefined)[] = [];
    for (const message of ['No "a" of 17', 'No "b c" of 4', "Refused"]) {
      const { runId } = await run(of, 1);
      await engine.commands.callbacks.fail(tokens.at(-1) ?? "", { message });
      await pass(0);
      found.push((await show(runId)).error?.fingerprint);
    }
    expect(found[0]).toMatch(/^[0-9a-v]{12}$/);
    expect(found[1]).toBe(found[0]);
    expect(found[2]).not.toBe(found[0]);
  });
});

describe("a failure of a run that a step has started", () => {
  const inner = workflow("inner", numbered, (w) =>
    w.step("part", {
      run: ({ input }) => {
        if (input > 10) throw new FatalError("too many");
        return broken(input);
      },
    }),
  );
  const outer = workflow("outer", numbered, (w) => w.child("child", { workflow: inner, input: ({ input }) => input }));

  test("puts its parents together, apart from itself", async () => {
    const { found, runs, show } = await fingerprints(outer, [1, 2]);
    expect(runs[0]?.error?.name).toBe("ChildFailed");
    expect([...found]).toEqual([expect.stringMatching(/^[0-9a-v]{12}$/)]);
    const child = await show(`${runs[0]?.runId}~child`);
    expect(child.error?.fingerprint).toMatch(/^[0-9a-v]{12}$/);
    expect(child.error?.fingerprint).not.toBe(runs[0]?.error?.fingerprint);
  });

  test("puts parents apart whose children failed at different places", async () => {
    expect(await fingerprint(outer, 1)).not.toBe(await fingerprint(outer, 20));
  });

  test("of a map: whichever of its items fails", async () => {
    const of = workflow("mapping", numbered, (w) =>
      w.map("each", {
        items: () => [0, 1, 2, 3],
        retry: { maxAttempts: 1 },
        run: ({ item, index }) => (index === 2 ? broken(item) : item),
      }),
    );
    const other = workflow("mapping", numbered, (w) =>
      w.map("each", {
        items: ({ input }) => Array.from({ length: 40 + input }, (_, index) => index),
        retry: { maxAttempts: 1 },
        run: ({ item, index }) => (index === 30 ? broken(item) : item),
      }),
    );
    const [small] = (await fingerprints(of, [1])).runs;
    expect(small?.error?.name).toBe("MapFailed");
    expect(await fingerprint(other, 1)).toBe(small?.error?.fingerprint);
  });
});
