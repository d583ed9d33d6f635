// Hunts: items that are lost, doubled, mixed up or run too many at a time, failures that are miscounted, and shards that
// outlive their map.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { FatalError, type Workflow, workflow } from "../../lib/index.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { withSmallShards } from "../engine/small-shards.ts";
import { gate, harness, statuses } from "./harness.ts";
import { mortal } from "./mortal.ts";
import { Rig } from "./rig.ts";

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

interface Behaviour {
  readonly concurrency?: number;
  readonly toleratedFailures?: number | `${number}%`;
  readonly run?: (item: number, attempt: number) => unknown;
}

/** A map over as many numbers as its input says, and a step that reads all that came of them. */
function doubling({ run = (item) => item * 2, ...options }: Behaviour = {}) {
  return workflow("doubling", { input: z.number() }, (w) => {
    const twice = w.map("twice", {
      items: ({ input }) => numbers(input),
      retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1s" } },
      ...options,
      run: ({ item, attempt }) => run(item, attempt) as number,
    });
    return w.step("all", {
      after: [twice],
      run: async ({ outputs: { twice } }) => ({
        length: twice.length,
        failures: twice.failures,
        results: (await twice.toArray()).map((result) => result ?? null),
        errors: await twice.errors(),
      }),
    });
  });
}

describe("a map", () => {
  test.each([1, 2, 3, 4, 5, 8, 9, 17])("over %i items has all of their outputs, in their order", async (count) => {
    const of = withSmallShards(doubling());
    const { run } = await harness([of]);
    const ended = await run(of, count);
    expect(ended).toMatchObject({
      status: "succeeded",
      output: { length: count, failures: 0, results: numbers(count).map((item) => item * 2), errors: [] },
    });
    expect(ended.steps.twice).toMatchObject({
      status: "succeeded",
      child: `${ended.runId}~twice`,
      output: { items: count, failures: 0 },
    });
    expect(ended.steps.twice?.output).toEqual({ items: count, failures: 0 });
  });

  test("over 100 items does so with shards of the size that they have", async () => {
    const of = doubling();
    const { run, show } = await harness([of]);
    const ended = await run(of, 100);
    expect(ended.output).toMatchObject({ results: numbers(100).map((item) => item * 2) });
    const leaf = await show(`${ended.runId}~twice.6`);
    expect(statuses(leaf)).toEqual({ 96: "succeeded", 97: "succeeded", 98: "succeeded", 99: "succeeded" });
    expect(leaf).toMatchObject({ input: [96, 97, 98, 99], parent: { runId: `${ended.runId}~twice`, step: "6" } });
  });

  test("over nothing succeeds at once", async () => {
    const of = doubling();
    const { run, show } = await harness([of]);
    const ended = await run(of, 0);
    expect(ended).toMatchObject({ status: "succeeded", output: { length: 0, results: [], errors: [] } });
    await expect(show(`${ended.runId}~twice`)).rejects.toMatchObject({ code: "run_not_found" });
  });

  test("gives each item its index, the map's name and run, and a key of its own", async () => {
    const seen: unknown[] = [];
    const of = withSmallShards(
      workflow("keys", {}, (w) =>
        w.map("each", {
          items: async () => ["a", "b", "c"],
          run: ({ item, index, runId, stepId, attempt, idempotencyKey }) => {
            seen.push([item, index, runId, stepId, attempt, idempotencyKey]);
          },
        }),
      ),
    );
    const { run } = await harness([of]);
    const { runId, output } = await run(of, undefined);
    expect(seen.toSorted()).toEqual([
      ["a", 0, runId, "each", 1, `${runId}~each.0/0`],
      ["b", 1, runId, "each", 1, `${runId}~each.0/1`],
      ["c", 2, runId, "each", 1, `${runId}~each.1/2`],
    ]);
    expect(output).toEqual({ items: 3, failures: 0 });
  });

  test("reads one item, or one after the other", async () => {
    const of = workflow("reads", {}, (w) => {
      const twice = w.map("twice", { items: () => numbers(40), run: ({ item }) => item * 2 });
      return w.step("read", {
        after: [twice],
        run: async ({ outputs: { twice } }) => {
          let sum = 0;
          for await (const result of twice) sum += result ?? 0;
          const beyond = await twice.get(40).catch((error: unknown) => String(error));
          return [sum, await twice.get(0), await twice.get(39), beyond];
        },
      });
    });
    const { run } = await harness([of]);
    const beyond = "RangeError: There is no item 40; the map has 40, counted from 0.";
    expect((await run(of, undefined)).output).toEqual([1560, 0, 78, beyond]);
  });

  test("checks each item's output, and carries outputs of 100 KB", async () => {
    const of = workflow("big", {}, (w) => {
      const big = w.map("big", {
        items: () => [1, 2, 3],
        toleratedFailures: 1,
        output: z.string(),
        run: ({ item }) => (item === 2 ? (5 as unknown as string) : "x".repeat(100_000)),
      });
      return w.step("lengths", {
        after: [big],
        run: async ({ outputs: { big } }) => [
          (await big.toArray()).map((text) => text?.length ?? 0),
          (await big.errors()).map(({ index, name }) => [index, name]),
        ],
      });
    });
    const { run } = await harness([of]);
    expect((await run(of, undefined)).output).toEqual([[100_000, 0, 100_000], [[1, "InvalidOutput"]]]);
  });

  test.each([
    [() => "abc", "items returned string; it returns a list."],
    [() => null, "items returned null; it returns a list."],
    [() => [1, undefined], "The list of items[1] is undefined inside an array; use null."],
    [
      () => numbers(100_001),
      "items returned 100001 items; at most 100000 are allowed. Let each item stand for several.",
    ],
  ])("fails at once when its items are none: %s", async (items, message) => {
    const of = workflow("wrong", {}, (w) => w.map("each", { items: items as () => number[], run: () => 1 }));
    const { run } = await harness([of]);
    expect((await run(of, undefined)).steps.each).toMatchObject({
      status: "failed",
      error: { name: "InvalidItems", message },
    });
  });

  test("retries an item by itself", async () => {
    const attempts = new Map<number, number>();
    const of = withSmallShards(
      doubling({
        run: (item, attempt) => {
          attempts.set(item, attempt);
          if (item === 3 && attempt === 1) throw new Error("at first");
          return item;
        },
      }),
    );
    const { run } = await harness([of]);
    const ended = await run(of, 5, 2_000);
    expect(ended.status).toBe("succeeded");
    expect(numbers(5).map((item) => attempts.get(item))).toEqual([1, 1, 1, 2, 1]);
  });
});

describe("concurrency", () => {
  test.each([
    [1, 9, 2, 2],
    [2, 9, 2, 2],
    [3, 17, 2, 2],
    [5, 17, 2, 3],
    [7, 40, 4, 3],
    [50, 96, 16, 32],
  ])("never lets more than %i of %i items run at the same time, and uses all of it", async (most, count, leaf, fan) => {
    let running = 0;
    let peak = 0;
    const of = withSmallShards(
      workflow("busy", {}, (w) => {
        w.map("each", {
          items: () => numbers(count),
          concurrency: most,
          timeout: "1h",
          run: async ({ item }) => {
            peak = Math.max(peak, ++running);
            await pass.promise;
            running--;
            return item;
          },
        });
      }),
      leaf,
      fan,
    );
    let pass = gate();
    const { engine, clock, show } = await harness([of], { concurrency: 100 });
    const { runId } = await engine.start(of);
    for (let round = 0; round < count + 5; round++) {
      await clock.advance(0);
      const former = pass;
      pass = gate();
      former.open();
    }
    await clock.advance(0);
    expect((await show(runId)).status).toBe("succeeded");
    expect(peak).toBe(Math.min(most, count));
  });
});

describe("tolerated failures", () => {
  const failing = (failures: number[], toleratedFailures?: number | `${number}%`): ReturnType<typeof doubling> =>
    withSmallShards(
      doubling({
        ...(toleratedFailures === undefined ? {} : { toleratedFailures }),
        run: (item) => {
          if (failures.includes(item)) throw new FatalError(`no ${item}`);
          return item;
        },
      }),
    );

  test.each([
    [3, [1, 5, 8]],
    ["33%", [0, 1, 2]],
    ["100%", numbers(10)],
    [10, numbers(10)],
  ] as const)("of %s let the map succeed, and are told", async (tolerated, failures) => {
    const of = failing([...failures], tolerated);
    const { run } = await harness([of]);
    const ended = await run(of, 10);
    expect(ended).toMatchObject({ status: "succeeded", output: { length: 10, failures: failures.length } });
    expect(ended.output).toMatchObject({
      results: numbers(10).map((item) => ((failures as readonly number[]).includes(item) ? null : item)),
      errors: failures.map((index) => ({ index, name: "FatalError", message: `no ${index}` })),
    });
  });

  test.each([
    [undefined, [4], "1 of 10 items failed or were then stopped, and none is tolerated. Item 4: FatalError: no 4"],
    [1, [4, 5], "2 of 10 items failed or were then stopped, and 1 is tolerated. Item "],
    [3, [0, 3, 6, 9], "4 of 10 items failed or were then stopped, and 3 are tolerated."],
    ["29%", [0, 3, 6], "3 of 10 items failed or were then stopped, and 2 are tolerated."],
  ] as const)("of %s are not exceeded by items %j", async (tolerated, failures, message) => {
    const of = failing([...failures], tolerated);
    const { run } = await harness([of]);
    const ended = await run(of, 10);
    expect(ended).toMatchObject({ status: "failed", error: { name: "MapFailed", step: "twice" } });
    expect(ended.steps.twice?.error?.message).toContain(message);
  });

  test("that are exceeded stop the rest", async () => {
    const begun: number[] = [];
    const of = withSmallShards(
      doubling({
        concurrency: 2,
        run: (item) => {
          begun.push(item);
          if (item === 1) throw new FatalError("no");
          return item;
        },
      }),
    );
    const { run } = await harness([of]);
    expect((await run(of, 40)).status).toBe("failed");
    expect(begun.length).toBeLessThan(20);
  });

  test("a redrive repeats the items that failed, and no other", async () => {
    let broken = true;
    const begun: number[] = [];
    const of = withSmallShards(
      doubling({
        toleratedFailures: 1,
        run: (item) => {
          begun.push(item);
          if (broken && [2, 7, 9].includes(item)) throw new FatalError("no");
          return item;
        },
      }),
    );
    const { run, engine, pass, show } = await harness([of]);
    const failed = await run(of, 12);
    expect(failed.status).toBe("failed");
    const done = begun.splice(0).filter((item) => ![2, 7, 9].includes(item));
    broken = false;
    await engine.commands.redrive(failed.runId);
    await pass(0);
    expect(await show(failed.runId)).toMatchObject({
      status: "succeeded",
      output: { failures: 0, results: numbers(12) },
    });
    expect(begun.toSorted((a, b) => a - b)).toEqual(numbers(12).filter((item) => !done.includes(item)));
  });

  test("an intolerable map may itself be tolerated", async () => {
    const of = withSmallShards(
      workflow("tolerant", {}, (w) => {
        const each = w.map("each", {
          items: () => numbers(5),
          onFailure: "continue",
          run: () => {
            throw new FatalError("no");
          },
        });
        return w.step("end", {
          afterSettled: [each],
          run: ({ outputs, errors }) => [outputs.each === undefined, errors.each?.name],
        });
      }),
    );
    const { run } = await harness([of]);
    expect(await run(of, undefined)).toMatchObject({ status: "succeeded", output: [true, "MapFailed"] });
  });
});

describe("a map to runs", () => {
  const Segment = z.object({ id: z.number(), parts: z.number().default(2) });
  const segment = withSmallShards(
    workflow("segment", { input: Segment }, (w) => {
      const parts = w.map("parts", { items: ({ input }) => numbers(input.parts), run: ({ item }) => item + 1 });
      return w.step("sum", {
        after: [parts],
        run: async ({ input, outputs: { parts } }) => {
          let sum = input.id * 100;
          for await (const part of parts) sum += part ?? 0;
          return sum;
        },
      });
    }),
  );
  const film = withSmallShards(
    workflow("film", { input: z.number() }, (w) => {
      const segments = w.map("segments", {
        each: segment,
        items: ({ input }) => numbers(input).map((id) => ({ id, parts: id })),
        concurrency: 3,
      });
      return w.step("join", { after: [segments], run: ({ outputs }) => outputs.segments.toArray() });
    }),
  );

  test("which map themselves has their outputs", async () => {
    const { run, show } = await harness([film]);
    const ended = await run(film, 5);
    expect(ended).toMatchObject({ status: "succeeded", output: [0, 101, 203, 306, 410] });
    expect(await show(`${ended.runId}~segments.1~4`)).toMatchObject({ workflow: "segment", output: 410 });
  });

  test("that is cancelled cancels everything below it", async () => {
    const napping: Workflow<"napping", number, undefined> = workflow("napping", { input: z.number() }, (w) =>
      w.sleep("nap", { duration: "1d" }),
    );
    const of = withSmallShards(
      workflow("all", {}, (w) => {
        w.map("naps", { items: () => numbers(9), each: napping });
      }),
    );
    const { run, engine, pass, show, events } = await harness([of]);
    const { runId } = await run(of, undefined);
    expect((await show(`${runId}~naps.0.0.1~2`)).status).toBe("running");
    await engine.commands.cancel(runId);
    await pass(60_000);
    const open = new Map(events.map(({ runId, status }) => [runId, status]));
    expect(new Set(open.values())).toEqual(new Set(["cancelled"]));
    expect(open.size).toBeGreaterThan(9 + 5);
  });
});

describe("what a map costs", () => {
  test("is one read of each leaf for its results", async () => {
    const of = workflow("reading", {}, (w) => {
      const each = w.map("each", { items: () => numbers(100), run: ({ item }) => item });
      return w.step("read", { after: [each], run: ({ outputs }) => outputs.each.toArray() });
    });
    const rig = new Rig([of]);
    let loads = 0;
    const store: RunStore = { ...rig.ports.store, load: (runId) => (loads++, rig.ports.store.load(runId)) };
    const { runId } = await rig.commands.start("reading");
    await rig.deliverAll(createWorker({ workflows: [of], ports: { ...rig.ports, store } }));
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: numbers(100) });
    expect(loads).toBe(Math.ceil(100 / 16));
  });
});

describe("a map and dying workers", () => {
  test("a worker that dies at any call leaves a message behind that brings the map to its end", async () => {
    const of = withSmallShards(doubling({ concurrency: 2 }));
    let calls = 0;
    for (let fatal = 1; calls + 1 >= fatal; fatal++) {
      const rig = new Rig([of]);
      const { runId } = await rig.commands.start("doubling", { input: 5 });
      calls = await mortal(rig, [of], fatal);
      const ended = await rig.show(runId);
      expect(ended, `dies at moment ${fatal}`).toMatchObject({
        status: "succeeded",
        output: { results: [0, 2, 4, 6, 8] },
      });
    }
    expect(calls).toBeGreaterThan(80);
  });
});
