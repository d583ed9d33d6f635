// Hunts: outputs of a long run that are lost, or another's, once they have been moved out of its record.
import { expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import type { StepRef } from "../../lib/definition/step.ts";
import { field, recordBytes } from "../../lib/engine/codec.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { harness } from "./harness.ts";
import { Rig } from "./rig.ts";

const steps = 60;
const text = (index: number): string => `${index} ${"x".repeat(16)}`;

/** Each step sees the output of the one before; the last one sees all. */
function long(options: { readonly failsAt?: () => number } = {}) {
  return workflow("long", {}, (w) => {
    const refs: StepRef<string, string>[] = [];
    for (let index = 0; index < steps; index++) {
      const before = refs.at(-1);
      const step = w.step(`s${index}`, {
        after: before === undefined ? [] : [before],
        retry: { maxAttempts: 1 },
        run: ({ outputs }: { readonly outputs: Readonly<Record<string, string>> }) => {
          if (before !== undefined && outputs[before.id] !== text(index - 1)) throw new FatalError("another's output");
          if (options.failsAt?.() === index) throw new FatalError("as planned");
          return text(index);
        },
      });
      refs.push(step);
    }
    return w.step("all", { after: refs, run: ({ outputs }) => Object.values(outputs).join() });
  });
}

const all = Array.from({ length: steps }, (_, index) => text(index)).join();

test("every step sees the outputs that it depends on, and so does whoever looks at the run", async () => {
  const work = long();
  const { run } = await harness([work]);
  const ended = await run(work, undefined, 60_000);
  expect(ended).toMatchObject({ status: "succeeded", output: all });
  for (let index = 0; index < steps; index++) expect(ended.steps[`s${index}`]?.output).toBe(text(index));
});

test("the record stays small while outputs are moved out of it", async () => {
  const work = long();
  const rig = new Rig([work]);
  const { runId } = await rig.commands.start("long");
  let most = 0;
  for (let index = 0; index < 45; index++) {
    await rig.deliver(rig.worker());
    most = Math.max(most, recordBytes((await rig.ports.store.get(runId)) ?? {}));
  }
  expect(most).toBeLessThanOrEqual(limits.runItemBytes);
  const fields = (await rig.ports.store.get(runId)) ?? {};
  expect(fields[field.schema]).toBe(2);
  expect(String(fields[field.archived]).split(",").length).toBeGreaterThan(1);
});

test("a redrive and a fork go on with them", async () => {
  let failsAt = 55;
  const work = long({ failsAt: () => failsAt });
  const { run, engine, pass, show } = await harness([work]);
  const { runId } = await run(work, undefined, 60_000);
  expect(await show(runId)).toMatchObject({ status: "failed", error: { step: "s55" } });
  failsAt = -1;
  await engine.commands.fork(runId, { from: "s40", runId: "fork" });
  await pass(60_000);
  expect(await show("fork")).toMatchObject({ status: "succeeded", output: all });
  await engine.commands.redrive(runId);
  await pass(60_000);
  expect(await show(runId)).toMatchObject({ status: "succeeded", output: all });
});

test("what is undone begins anew without what it had", async () => {
  let failsAt = 55;
  const counts = new Map<string, number>();
  const work = workflow("undone", {}, (w) => {
    let last: StepRef<string, string> | undefined;
    for (let index = 0; index < steps; index++) {
      last = w.step(`s${index}`, {
        after: last === undefined ? [] : [last],
        retry: { maxAttempts: 1 },
        run: () => {
          if (failsAt === index) throw new FatalError("as planned");
          const id = `s${index}`;
          counts.set(id, (counts.get(id) ?? 0) + 1);
          return `${text(index)} ${counts.get(id)}`;
        },
        ...(index === 20 ? { compensate: () => undefined } : {}),
      });
    }
    return last;
  });
  const { run, engine, pass, show } = await harness([work]);
  const { runId } = await run(work, undefined, 60_000);
  expect((await show(runId)).status).toBe("failed");
  failsAt = -1;
  await engine.commands.redrive(runId);
  const begun = await show(runId);
  expect(begun.steps.s19?.output).toBe(`${text(19)} 1`);
  expect(begun.steps.s25?.output).toBeUndefined();
  await pass(60_000);
  const ended = await show(runId);
  expect(ended).toMatchObject({ status: "succeeded", output: `${text(59)} 1` });
  expect(ended.steps.s19?.output).toBe(`${text(19)} 1`);
  expect(ended.steps.s25?.output).toBe(`${text(25)} 2`);
});

test("what failed parts of a map tell stays in the record, however large that is", async () => {
  const work = workflow("work", {}, (w) =>
    w.map("all", {
      items: () => Array.from({ length: 512 }, (_, index) => index),
      concurrency: 1,
      toleratedFailures: "100%",
      retry: { maxAttempts: 1 },
      run: () => {
        throw new FatalError("as planned");
      },
    }),
  );
  const { engine, pass, show } = await harness([work]);
  const { runId } = await engine.commands.start("work", { runId: "r".repeat(limits.runIdLength) });
  await pass(60_000);
  expect(await show(runId)).toMatchObject({ status: "succeeded", output: { items: 512, failures: 512 } });
});
