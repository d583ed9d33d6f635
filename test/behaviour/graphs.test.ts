// Hunts: steps that begin too early, too late or never, and branches that disturb each other.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { FatalError, workflow } from "../../lib/index.ts";
import { gate, harness, statuses } from "./harness.ts";

const fail = (): never => {
  throw new FatalError("as planned");
};

test("outputs reach dependants, and parallel steps cannot overwrite each other's", async () => {
  const wide = workflow("wide", {}, (w) => {
    const source = w.step("source", { run: () => ({ items: [1, 2, 3] }) });
    const branches = Array.from({ length: 20 }, (_, index) =>
      w.step(`branch${index}`, {
        after: [source],
        run: ({ outputs }) => {
          const { source } = outputs as { source: { items: number[] } };
          source.items.push(index);
          return source.items;
        },
      }),
    );
    return w.step("join", { after: branches, run: ({ outputs }) => outputs as Record<string, number[]> });
  });
  const ended = await (await harness([wide])).run(wide, undefined);
  const expected = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`branch${index}`, [1, 2, 3, index]]));
  expect(ended.output).toEqual(expected);
});

test("independent steps really run at the same time", async () => {
  const both = gate();
  let inside = 0;
  const meet = async (): Promise<string> => {
    if (++inside === 2) both.open();
    await both.promise;
    return "met";
  };
  const pair = workflow("pair", {}, (w) => {
    const left = w.step("left", { run: meet });
    const right = w.step("right", { run: meet });
    return w.step("end", { after: [left, right], run: ({ outputs }) => [outputs.left, outputs.right] });
  });
  expect(await (await harness([pair])).run(pair, undefined)).toMatchObject({
    status: "succeeded",
    output: ["met", "met"],
  });
});

test("a diamond joins once, after both branches", async () => {
  const order: string[] = [];
  const slow = gate();
  const diamond = workflow("diamond", {}, (w) => {
    const top = w.step("top", { run: () => void order.push("top") });
    const left = w.step("left", { after: [top], run: () => void order.push("left") });
    const right = w.step("right", {
      after: [top],
      run: async () => {
        await slow.promise;
        order.push("right");
      },
    });
    return w.step("bottom", { after: [left, right], run: () => order.push("bottom") });
  });
  const { run, pass, show } = await harness([diamond]);
  const early = await run(diamond, undefined);
  expect(statuses(early)).toEqual({ top: "succeeded", left: "succeeded", right: "running", bottom: "pending" });
  slow.open();
  await pass(0);
  expect((await show(early.runId)).status).toBe("succeeded");
  expect(order).toEqual(["top", "left", "right", "bottom"]);
});

test("a failed dependency blocks its dependants and fails the run, after siblings in flight have settled", async () => {
  const begun = gate();
  const slow = gate();
  const doomed = workflow("doomed", {}, (w) => {
    const bad = w.step("bad", { run: () => begun.promise.then(fail) });
    const sibling = w.step("sibling", {
      run: () => {
        begun.open();
        return slow.promise.then(() => "kept");
      },
    });
    w.step("afterBad", { after: [bad], run: () => 1 });
    w.step("afterSibling", { after: [sibling], run: () => 1 });
  });
  const { run, pass, show, events } = await harness([doomed]);
  const early = await run(doomed, undefined);
  expect(early).toMatchObject({ status: "unwinding", error: { name: "FatalError", step: "bad" } });
  slow.open();
  await pass(0);
  const ended = await show(early.runId);
  expect(ended.status).toBe("failed");
  expect(statuses(ended)).toEqual({
    bad: "failed",
    sibling: "succeeded",
    afterBad: "pending",
    afterSibling: "pending",
  });
  expect(ended.steps.sibling?.output).toBe("kept");
  expect(events.map((event) => event.status)).toEqual(["running", "unwinding", "failed"]);
});

describe('onFailure: "continue"', () => {
  test("goes on with what does not need the step, and its error is given to what waits for it", async () => {
    const tolerant = workflow("tolerant", {}, (w) => {
      const risky = w.step("risky", { onFailure: "continue", run: fail });
      const rescue = w.step("rescue", { afterFailed: [risky], run: ({ errors }) => errors.risky?.message });
      const report = w.step("report", {
        afterSettled: [risky],
        run: ({ outputs, errors }) => ({ risky: outputs.risky, error: errors.risky?.name }),
      });
      return w.step("end", { after: [rescue, report], run: ({ outputs }) => outputs });
    });
    const ended = await (await harness([tolerant])).run(tolerant, undefined);
    expect(ended).toMatchObject({
      status: "succeeded",
      output: { rescue: "as planned", report: { error: "FatalError" } },
    });
  });

  test("still blocks what needs the step to have succeeded, and that decides on the run by its own option", async () => {
    const needing = (onFailure: "fail" | "continue") =>
      workflow(`needing-${onFailure}`, {}, (w) => {
        const risky = w.step("risky", { onFailure: "continue", run: fail });
        w.step("needs", { after: [risky], onFailure, run: () => 1 });
      });
    const strict = needing("fail");
    const lenient = needing("continue");
    const { run } = await harness([strict, lenient]);
    const failed = await run(strict, undefined);
    const message = 'Step "needs" cannot begin: "risky" failed.';
    expect(failed).toMatchObject({ status: "failed", error: { name: "DependencyFailed", message, step: "needs" } });
    expect(failed.steps.needs).toMatchObject({
      status: "failed",
      attempt: 0,
      error: { name: "DependencyFailed", message },
    });
    expect((await run(lenient, undefined)).status).toBe("succeeded");
  });

  test("a handler for a failure that did not come is skipped", async () => {
    const fine = workflow("fine", {}, (w) => {
      const risky = w.step("risky", { onFailure: "continue", run: () => "ok" });
      const rescue = w.step("rescue", { afterFailed: [risky], run: () => "rescued" });
      return w.step("end", { after: [risky, rescue], run: ({ outputs }) => outputs });
    });
    const ended = await (await harness([fine])).run(fine, undefined);
    expect(statuses(ended)).toEqual({ risky: "succeeded", rescue: "skipped", end: "succeeded" });
    expect(ended.output).toEqual({ risky: "ok" });
  });
});

describe("when", () => {
  const gift = workflow("gift", { input: z.object({ wrap: z.boolean() }) }, (w) => {
    const price = w.step("price", { run: () => 100 });
    const wrap = w.step("wrap", { after: [price], when: ({ input }) => input.wrap, run: () => "wrapped" });
    const large = w.step("large", { after: [price], when: ({ outputs }) => outputs.price > 99, run: () => true });
    return w.step("end", { after: [wrap, large], run: ({ outputs }) => outputs });
  });

  test("true, false, and by an earlier output", async () => {
    const { run } = await harness([gift]);
    expect(await run(gift, { wrap: true })).toMatchObject({ output: { wrap: "wrapped", large: true } });
    const plain = await run(gift, { wrap: false });
    expect(plain.output).toEqual({ large: true });
    expect(plain.steps.wrap?.status).toBe("skipped");
  });

  test("a chain of skipped steps ends the run", async () => {
    const chain = workflow("chain", {}, (w) => {
      const a = w.step("a", { when: () => false, run: () => 1 });
      const b = w.step("b", { after: [a], skipWithDependency: true, run: () => 2 });
      const c = w.step("c", { after: [b], skipWithDependency: true, run: () => 3 });
      return w.step("d", { after: [c], when: () => false, run: () => 4 });
    });
    const ended = await (await harness([chain])).run(chain, undefined);
    expect(ended.status).toBe("succeeded");
    expect("output" in ended).toBe(false);
    expect(statuses(ended)).toEqual({ a: "skipped", b: "skipped", c: "skipped", d: "skipped" });
  });

  test("a skip satisfies dependants, and cascades only to those that ask for it", async () => {
    const cascade = workflow("cascade", {}, (w) => {
      const a = w.step("a", { when: () => false, run: () => 1 });
      const goesOn = w.step("goesOn", { after: [a], run: ({ outputs }) => outputs.a === undefined });
      w.step("skips", { after: [a, goesOn], skipWithDependency: true, run: () => 1 });
      return goesOn;
    });
    const ended = await (await harness([cascade])).run(cascade, undefined);
    expect(ended).toMatchObject({ status: "succeeded", output: true });
    expect(statuses(ended)).toEqual({ a: "skipped", goesOn: "succeeded", skips: "skipped" });
  });

  test("a condition that throws, or does not decide, fails the step like its code", async () => {
    const odd = workflow("odd", {}, (w) => {
      w.step("throws", {
        onFailure: "continue",
        retry: { maxAttempts: 1 },
        when: ({ input }) => (input as unknown as { a: { b: boolean } }).a.b,
        run: () => 1,
      });
      w.step("promises", {
        onFailure: "continue",
        when: (() => Promise.resolve(true)) as unknown as () => boolean,
        run: () => 1,
      });
    });
    const ended = await (await harness([odd])).run(odd, undefined);
    expect(ended.steps.throws).toMatchObject({ status: "failed", error: { name: "TypeError" } });
    expect(ended.steps.promises?.error?.message).toBe(
      "when returned an object; it decides with true or false, at once.",
    );
  });
});

describe("afterAny", () => {
  const race = (left: () => unknown, right: () => unknown) =>
    workflow("race", {}, (w) => {
      const a = w.step("a", { onFailure: "continue", run: left });
      const b = w.step("b", { onFailure: "continue", run: right });
      const gateStep = w.step("also", { run: () => "also" });
      return w.step("end", { afterAny: [a, b], after: [gateStep], run: ({ outputs }) => outputs });
    });

  test("the first success suffices while the other still runs", async () => {
    const never = race(
      () => "first",
      () => new Promise(() => undefined),
    );
    const { run } = await harness([never]);
    const early = await run(never, undefined);
    expect(statuses(early)).toEqual({ a: "succeeded", b: "running", also: "succeeded", end: "succeeded" });
    expect(early.steps.end?.output).toEqual({ a: "first", also: "also" });
  });

  test("one fails and one succeeds", async () => {
    const mixed = race(fail, () => "second");
    expect(await (await harness([mixed])).run(mixed, undefined)).toMatchObject({
      status: "succeeded",
      output: { b: "second" },
    });
  });

  test("all fail", async () => {
    const hopeless = race(fail, fail);
    const ended = await (await harness([hopeless])).run(hopeless, undefined);
    expect(ended).toMatchObject({ status: "failed", error: { name: "DependencyFailed", step: "end" } });
    expect(ended.error?.message).toBe('Step "end" cannot begin: "a", "b" failed.');
  });

  test("together with all-of: both clauses must hold", async () => {
    const late = gate();
    const both = workflow("both", {}, (w) => {
      const a = w.step("a", { run: () => 1 });
      const b = w.step("b", { run: () => 2 });
      const all = w.step("all", { run: () => late.promise });
      return w.step("end", { afterAny: [a, b], after: [all], run: () => "ran" });
    });
    const { run, pass, show } = await harness([both]);
    const early = await run(both, undefined);
    expect(early.steps.end?.status).toBe("pending");
    late.open();
    await pass(0);
    expect((await show(early.runId)).output).toBe("ran");
  });

  test("a skipped alternative does not win over one that still works", async () => {
    const transfer = gate();
    const pay = workflow("pay", {}, (w) => {
      const card = w.step("card", { when: () => false, run: () => "card" });
      const bank = w.step("bank", { run: () => transfer.promise.then(() => "bank") });
      return w.step("ship", { afterAny: [card, bank], run: ({ outputs }) => outputs.bank ?? outputs.card ?? "unpaid" });
    });
    const { run, pass, show } = await harness([pay]);
    const early = await run(pay, undefined);
    expect(early.steps.ship?.status).toBe("pending");
    transfer.open();
    await pass(0);
    expect((await show(early.runId)).output).toBe("bank");
  });
});

test("a step may be called like a property that every object has", async () => {
  const odd = workflow("odd", {}, (w) => {
    const constructor = w.step("constructor", { run: () => "ran" });
    return w.step("toString", {
      afterSettled: [constructor],
      run: ({ outputs, errors }) => [outputs.constructor, typeof errors.constructor],
    });
  });
  const ended = await (await harness([odd])).run(odd, undefined);
  expect(ended).toMatchObject({ status: "succeeded", output: ["ran", "undefined"] });
});
