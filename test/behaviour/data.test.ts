// Hunts: values that change on their way through the store, and sizes that break it.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { createEngine, workflow } from "../../lib/index.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { withBlobs } from "../../lib/runtime/with-blobs.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { harness, temporaryFolder } from "./harness.ts";
import { Rig } from "./rig.ts";

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

test("an input and an output of 60 KB are shown with their run", async () => {
  const text = "é".repeat(30 * 1024);
  const large = workflow("large", { input: z.object({ text: z.string() }) }, (w) =>
    w.step("copy", { run: ({ input }) => input }),
  );
  const ended = await (await harness([large])).run(large, { text });
  expect(ended).toMatchObject({ status: "succeeded", input: { text }, output: { text } });
  expect(ended.steps.copy?.output).toEqual({ text });
});

test("an input and an output of 300 KB work, and are asked for by themselves", async () => {
  const text = "é".repeat(150 * 1024);
  const large = workflow("large", { input: z.object({ text: z.string() }) }, (w) => {
    const copy = w.step("copy", { run: ({ input }) => input });
    return w.step("length", { after: [copy], run: ({ outputs }) => outputs.copy.text.length });
  });
  const { run, engine } = await harness([large]);
  const ended = await run(large, { text });
  expect(ended).toMatchObject({ status: "succeeded", output: text.length });
  const bytes = Buffer.byteLength(JSON.stringify({ text }));
  expect(ended.inputRef).toEqual({ bytes });
  expect(ended).not.toHaveProperty("input");
  expect(ended.steps.copy?.outputRef).toEqual({ bytes });
  expect(ended.steps.copy).not.toHaveProperty("output");
  expect(await engine.commands.input(ended.runId)).toEqual({ text });
  expect(await engine.commands.output(ended.runId, "copy")).toEqual({ text });
});

test("payloads of 1 MB and 3 MB, inputs, outputs and signals, outlive a restart", async () => {
  const dataDir = await temporaryFolder();
  const mega = (letter: string, count: number): string => letter.repeat(count * 1024 * 1024);
  const large = workflow("large", { input: z.string() }, (w) => {
    const one = w.step("one", { run: ({ input }) => input.replaceAll("i", "1") });
    const more = w.signal("more", { after: [one], payload: z.string() });
    const three = w.step("three", { after: [one], run: ({ outputs }) => outputs.one.repeat(3) });
    const nap = w.sleep("nap", { after: [more, three], duration: "1h" });
    return w.step("all", {
      after: [one, more, three, nap],
      run: ({ input, outputs: { one, more, three } }) => [input, one, more, three].join("").length,
    });
  });
  const clock = new VirtualClock(undefined, 120);
  const first = await harness([large], { dataDir, clock });
  await first.engine.start(large, { runId: "r", input: mega("i", 1) });
  await first.pass(0);
  await first.engine.commands.signal("r", "more", mega("m", 2));
  await first.pass(0);
  await first.engine.stop();

  const { show, pass, engine } = await harness([large], { dataDir, clock });
  await pass(3_600_000);
  const ended = await show("r");
  expect(ended).toMatchObject({ status: "succeeded", output: mega("x", 7).length });
  expect(ended.steps.three?.outputRef).toEqual({ bytes: mega("x", 3).length + 2 });
  const read = [
    await engine.commands.input("r"),
    await engine.commands.output("r", "one"),
    await engine.commands.output("r", "more"),
    await engine.commands.output("r", "three"),
  ];
  expect(read.map((text) => text === mega((text as string)[0] ?? "", (text as string).length >> 20))).toEqual(
    Array.from({ length: 4 }, () => true),
  );
  expect(read.map((text) => (text as string)[0])).toEqual(["i", "1", "m", "1"]);
  expect(await engine.commands.output("r")).toBe(7 * 1024 * 1024);
  expect((await engine.start(large, { runId: "r", input: mega("i", 1) })).created).toBe(false);
});

test("a run's output that is too large to be shown is told by its size", async () => {
  const large = workflow("large", {}, (w) => w.step("only", { run: () => "x".repeat(100 * 1024) }));
  const { run, engine } = await harness([large]);
  const ended = await run(large, undefined);
  expect(ended).toMatchObject({ status: "succeeded", outputRef: { bytes: 100 * 1024 + 2 } });
  expect(ended).not.toHaveProperty("output");
  expect(await engine.commands.output(ended.runId)).toBe("x".repeat(100 * 1024));
});

test("each step reads only the payloads that it needs", async () => {
  const blob = "x".repeat(limits.itemPayloadBytes);
  const work = workflow("work", { input: z.string() }, (w) => {
    const a = w.step("a", { run: () => `a${blob}` });
    const b = w.step("b", { run: () => `b${blob}` });
    const c = w.step("c", { after: [a], run: ({ outputs }) => outputs.a.length });
    w.step("d", { after: [c], run: ({ outputs }) => outputs.c });
    w.step("e", { after: [b], run: () => 1 });
  });
  const rig = new Rig([work]);
  const asked: string[] = [];
  const { store } = rig.ports;
  const watching = {
    ...rig.ports,
    store: {
      ...store,
      getPayloads: (runId: string, keys: readonly string[]) => {
        asked.push(...keys.filter((key) => key.startsWith("out")));
        return store.getPayloads(runId, keys);
      },
    },
  };
  await rig.commands.start("work", { input: "small" });
  await rig.deliverAll(createWorker({ workflows: [work], ports: watching }));
  expect(asked).toEqual(["out#0#0.1", "out#1#0.1"]);
});

describe("a payload that is lost", () => {
  const work = workflow("work", {}, (w) => {
    const big = w.step("big", { run: () => "x".repeat(100 * 1024), compensate: ({ output }) => output?.length });
    return w.step("reads", { after: [big], run: ({ outputs }) => outputs.big.length });
  });

  /** Plays a run whose output of `big` is read as `found` says, until `restore` is called. */
  async function play(found: (key: string) => string | undefined) {
    const rig = new Rig([work]);
    const { store } = rig.ports;
    let isLost = true;
    const getPayloads: RunStore["getPayloads"] = async (runId, keys) => {
      const all = [...(await store.getPayloads(runId, keys))];
      if (!isLost) return new Map(all);
      return new Map(all.flatMap(([key]) => (found(key) === undefined ? [] : [[key, found(key) ?? ""]])));
    };
    const worker = createWorker({ workflows: [work], ports: { ...rig.ports, store: { ...store, getPayloads } } });
    const { runId } = await rig.commands.start("work");
    await rig.deliverAll(worker);
    const restore = (): void => {
      isLost = false;
    };
    return { rig, runId, worker, restore };
  }

  test.each([
    ["missing", () => undefined, "refers to the payload out#0#0.1, which is not in the store"],
    ["damaged", () => "{", "cannot be read: a payload of it is not JSON"],
  ])("%s fails the step that needs it, at once and by name, and what would undo it", async (_, found, message) => {
    const { rig, runId, worker, restore } = await play(found);
    const failed = await rig.show(runId);
    const error = { name: "LostPayload", message: expect.stringContaining(message) };
    expect(failed).toMatchObject({ status: "failed", compensation: "incomplete", error: { step: "reads", ...error } });
    expect(failed.steps.reads).toMatchObject({ status: "failed", attempt: 1, error });
    expect(failed.steps.big?.compensation).toMatchObject({ status: "failed", attempt: 1, error });
    restore();
    await rig.commands.redrive(runId);
    await rig.deliverAll(worker);
    expect(await rig.show(runId)).toMatchObject({ status: "failed", compensation: "complete" });
    await rig.commands.redrive(runId);
    await rig.deliverAll(worker);
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 100 * 1024 });
  });

  test("from the blobs fails it with what to restore", async () => {
    const order = workflow("order", {}, (w) => {
      const big = w.step("big", { run: () => "x".repeat(2 * limits.itemPayloadBytes) });
      w.step("reads", { after: [big], run: ({ outputs }) => outputs.big.length });
    });
    const rig = new Rig([order]);
    const forgetful = { ...createMemoryBlobs(), get: async () => undefined };
    const store = withBlobs(createMemoryBackend({ clock: rig.clock, logger: rig.ports.logger }), forgetful);
    const ports = { ...rig.ports, store };
    const commands = createCommands({ workflows: [order], ports });
    const { runId } = await commands.start("order");
    await rig.deliverAll(createWorker({ workflows: [order], ports }));
    const { steps } = await commands.get(runId);
    expect(steps.reads?.error).toEqual({
      name: "LostPayload",
      message: `The blob of payload out#0#0.1 of run ${runId} is missing. Restore the blobs from the backup that belongs to the runs, then redrive the run.`,
    });
  });
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
