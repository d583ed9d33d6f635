// Hunts: values that change on their way through the store, and sizes that break it.
import { expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { createEngine, workflow } from "../../lib/index.ts";
import { harness } from "./harness.ts";

test.each([
  [0],
  [false],
  [""],
  [null],
  [[]],
  [{}],
  ["@looks like a pointer"],
  ['\u0000 𝄞 \\ "'],
  [-0.5],
  [{ nested: { zero: 0 } }],
])("the output %j survives, as an input of the next step and as the run's output", async (value) => {
  const seen: unknown[] = [];
  const pass = workflow("pass", { input: z.unknown() }, (w) => {
    const first = w.step("first", { run: ({ input }) => input });
    return w.step("second", {
      after: [first],
      run: ({ outputs }) => {
        seen.push(outputs.first);
        return outputs.first;
      },
    });
  });
  const ended = await (await harness([pass])).run(pass, value);
  expect(seen).toEqual([value]);
  expect(ended).toMatchObject({ status: "succeeded", input: value, output: value });
});

test("nothing is not null: a step that returns nothing has no output", async () => {
  const silent = workflow("silent", {}, (w) => {
    const first = w.step("first", { run: () => undefined });
    return w.step("second", { after: [first], run: ({ outputs }) => ({ type: typeof outputs.first }) });
  });
  const ended = await (await harness([silent])).run(silent, undefined);
  expect(ended.output).toEqual({ type: "undefined" });
  expect(ended.steps.first).not.toHaveProperty("output");
});

test("an input and an output of 300 KB work", async () => {
  const text = "é".repeat(150 * 1024);
  const large = workflow("large", { input: z.object({ text: z.string() }) }, (w) => {
    const copy = w.step("copy", { run: ({ input }) => input });
    return w.step("length", { after: [copy], run: ({ outputs }) => outputs.copy.text.length });
  });
  const ended = await (await harness([large])).run(large, { text });
  expect(ended).toMatchObject({ status: "succeeded", output: text.length });
  expect(ended.steps.copy?.output).toEqual({ text });
});

test("over the limit is a clear error: for the input nothing is stored, for an output the step fails without retry", async () => {
  const large = workflow("large", { input: z.number() }, (w) =>
    w.step("grow", { run: ({ input }) => "x".repeat(input) }),
  );
  const echo = workflow("echo", { input: z.string() }, (w) => w.step("only", { run: () => 1 }));
  const { run, engine } = await harness([large, echo]);
  const bytes = limits.payloadBytes + 1;
  const ended = await run(large, bytes - 2);
  const message = `The step's output is ${bytes - 2 + 2} bytes as JSON; at most ${limits.payloadBytes} are allowed. Store large data elsewhere and pass a reference.`;
  expect(ended.steps.grow).toMatchObject({ status: "failed", attempt: 1, error: { name: "InvalidOutput", message } });
  const start = engine.start(echo, { runId: "too-large", input: "x".repeat(bytes) });
  await expect(start).rejects.toMatchObject({ code: "payload_too_large" });
  await expect(engine.commands.get("too-large")).rejects.toMatchObject({ code: "run_not_found" });
});

test("an input is stored as its schema made it, defaults included", async () => {
  const order = workflow("order", { input: z.object({ id: z.string(), note: z.string().default("none") }) }, (w) =>
    w.step("only", { run: ({ input }) => input.note }),
  );
  const { engine, pass, show } = await harness([order]);
  const { runId } = await engine.start(order, { input: { id: "a" } });
  await pass(0);
  expect(await show(runId)).toMatchObject({ input: { id: "a", note: "none" }, output: "none" });
});

test("two engines in one process share nothing", async () => {
  const make = (name: string) => workflow("same", {}, (w) => w.step("only", { run: () => name }));
  const [one, other] = [await harness([make("one")]), await harness([make("other")])];
  await one.engine.commands.start("same", { runId: "r" });
  await one.pass(0);
  expect((await one.show("r")).output).toBe("one");
  await expect(other.show("r")).rejects.toMatchObject({ code: "run_not_found" });
  expect(other.events).toEqual([]);
  await other.engine.commands.start("same", { runId: "r" });
  await other.pass(0);
  expect((await other.show("r")).output).toBe("other");
});

test("two workflows of one name are refused", async () => {
  const make = () => workflow("same", {}, (w) => w.step("only", { run: () => 1 }));
  await expect(createEngine({ workflows: [make(), make()] })).rejects.toThrow('Two workflows are named "same"');
});
