// Hunts: a run that a bulk operation acts on twice, forgets, or acts on although it has changed; and one that is too fast.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { type RunStatus, type Workflow, workflow } from "../../lib/index.ts";
import type { OperationEstimate, OperationRequest, Operations, OperationView } from "../../lib/runtime/operations.ts";
import type { Ports } from "../../lib/runtime/ports.ts";
import { createSystem } from "../../lib/system/system.ts";
import { type Harness, harness } from "./harness.ts";
import { mortal } from "./mortal.ts";
import { Rig } from "./rig.ts";

let isMended = false;
const calls = new Map<string, number>();
const flaky = workflow("flaky", {}, (w) =>
  w.step("work", {
    // Attempts are there for workers that die.
    retry: { maxAttempts: 3, isRetryable: () => false },
    run: ({ runId }) => {
      calls.set(runId, (calls.get(runId) ?? 0) + 1);
      if (!isMended) throw new Error("not yet");
      return "done";
    },
  }),
);
const asking = workflow("asking", {}, (w) => w.signal("go", { payload: z.object({ by: z.string() }) }));
const sleeping = workflow("sleeping", {}, (w) => w.sleep("night", { duration: "8h" }));

async function failing(at: Harness, count: number, of: Workflow = flaky): Promise<string[]> {
  isMended = false;
  calls.clear();
  const ids = Array.from({ length: count }, (_, number) => `${of.name}-${String(number).padStart(4, "0")}`);
  for (const runId of ids) await at.engine.commands.start(of.name, { runId });
  await at.pass(1_000);
  isMended = true;
  return ids;
}

async function begin(operations: Operations, request: OperationRequest): Promise<OperationView> {
  const begun = await operations.begin(request);
  if ("dryRun" in begun) throw new Error("That was a dry run.");
  return begun;
}

const statusesOf = async (at: Harness, ids: readonly string[]): Promise<RunStatus[]> =>
  Promise.all(ids.map(async (id) => (await at.show(id)).status));

describe("a bulk redrive", () => {
  test("redrives each run that matches once, no faster than asked for, and reports", async () => {
    const at = await harness([flaky, sleeping]);
    const ids = await failing(at, 60);
    const { runId: other } = await at.engine.commands.start("sleeping");
    const redrivenAtMs: number[] = [];
    at.engine.onEvent(({ previous, status }) => {
      if (previous === "failed" && status === "running") redrivenAtMs.push(at.clock.now());
    });
    const begun = await begin(at.engine.operations, {
      action: "redrive",
      filter: { workflow: "flaky", status: "failed" },
      ratePerSecond: 20,
    });
    expect(begun).toMatchObject({ action: "redrive", status: "running", progress: { done: 0 }, failures: [] });
    await at.pass(1_500);
    const underWay = await at.engine.operations.get(begun.operationId);
    expect(underWay).toMatchObject({ status: "running", progress: { selected: 60, done: 0 } });
    await at.pass(4_000);
    const ended = await at.engine.operations.get(begun.operationId);
    expect(ended).toMatchObject({
      status: "succeeded",
      filter: { workflow: "flaky", status: ["failed"] },
      progress: { selected: 60, done: 60, skipped: 0, failed: 0 },
      failures: [],
    });
    expect(new Set(await statusesOf(at, ids))).toEqual(new Set(["succeeded"]));
    for (const id of ids) expect((await at.show(id)).redrives).toBe(1);
    expect([...calls.values()]).toEqual(ids.map(() => 2));
    expect((await at.show(other)).status).toBe("running");
    expect(redrivenAtMs).toHaveLength(60);
    redrivenAtMs.forEach((from, index) => {
      const within = redrivenAtMs.slice(index).filter((ms) => ms < from + 1_000);
      expect(within.length).toBeLessThanOrEqual(20);
    });
    // Not much slower, either.
    expect(redrivenAtMs.at(-1)! - redrivenAtMs[0]!).toBeLessThan(3_100);
  });

  test("goes part by part, and tells of each part that is done; the pace holds from part to part", async () => {
    const at = await harness([flaky]);
    await failing(at, 50);
    const redrivenAtMs: number[] = [];
    at.engine.onEvent(({ previous }) => previous === "failed" && redrivenAtMs.push(at.clock.now()));
    const filter = { workflow: "flaky" };
    const { operationId } = await begin(at.engine.operations, { action: "redrive", filter, ratePerSecond: 1 });
    await at.pass(30_000);
    // 20 runs make a part at this rate.
    expect(await at.engine.operations.get(operationId)).toMatchObject({ progress: { selected: 50, done: 20 } });
    await at.pass(60_000);
    expect(await at.engine.operations.get(operationId)).toMatchObject({ status: "succeeded", progress: { done: 50 } });
    const gaps = redrivenAtMs.slice(1).map((ms, index) => ms - redrivenAtMs[index]!);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_000);
  });

  test("leaves alone what changes after it was selected, or is started after it began", async () => {
    const at = await harness([flaky]);
    const ids = await failing(at, 30);
    const filter = { workflow: "flaky" };
    const { operationId } = await begin(at.engine.operations, { action: "redrive", filter, ratePerSecond: 1 });
    await at.pass(5_000);
    // Newest first: the oldest are still to come.
    const [first = "", second = ""] = ids;
    isMended = false;
    await at.engine.commands.redrive(first);
    await at.pass(100);
    expect((await at.show(first)).status).toBe("failed");
    await at.engine.commands.start("flaky", { runId: "late" });
    await at.pass(100);
    isMended = true;
    await at.pass(60_000);
    const ended = await at.engine.operations.get(operationId);
    expect(ended).toMatchObject({ status: "succeeded", progress: { selected: 30, done: 29, skipped: 1, failed: 0 } });
    expect(await at.show(first)).toMatchObject({ status: "failed", redrives: 1 });
    expect(await at.show(second)).toMatchObject({ status: "succeeded", redrives: 1 });
    expect(await at.show("late")).toMatchObject({ status: "failed", redrives: 0 });
  });

  test("finds runs by the time of their creation and by tag", async () => {
    const at = await harness([flaky]);
    isMended = false;
    for (const [index, team] of ["a", "b", "a", "a"].entries()) {
      await at.engine.commands.start("flaky", { runId: `run-${index}`, tags: { team } });
      await at.pass(60_000);
    }
    isMended = true;
    const from = new Date(at.clock.now() - 150_000);
    await at.engine.operations.begin({ action: "redrive", filter: { tag: { key: "team", value: "a" }, from } });
    await at.pass(5_000);
    expect(await statusesOf(at, ["run-0", "run-1", "run-2", "run-3"])).toEqual([
      "failed",
      "failed",
      "succeeded",
      "succeeded",
    ]);
  });
});

describe("other actions", () => {
  test("cancel and terminate end what is open", async () => {
    const at = await harness([sleeping, flaky]);
    const ids = await failing(at, 4, sleeping);
    for (const [action, some] of [
      ["cancel", ids.slice(2)],
      ["terminate", ids.slice(0, 2)],
    ] as const) {
      const { operationId } = await begin(at.engine.operations, { action, filter: { workflow: "sleeping" }, limit: 2 });
      await at.pass(3_000);
      expect(await at.engine.operations.get(operationId)).toMatchObject({ progress: { selected: 2, done: 2 } });
      expect(await statusesOf(at, some)).toEqual(["cancelled", "cancelled"]);
    }
  });

  test("purge removes what has ended, with what it has started, and nothing that has changed", async () => {
    const child = workflow("child", {}, (w) => w.step("a", { run: () => 1 }));
    const parent = workflow("parent", {}, (w) => w.child("one", { workflow: child }));
    const at = await harness([parent, sleeping, flaky]);
    for (const runId of ["p1", "p2"]) await at.engine.commands.start("parent", { runId });
    const [failed = ""] = await failing(at, 1);
    await at.engine.commands.start("sleeping", { runId: "open" });
    await at.pass(60_000);
    const { operationId } = await begin(at.engine.operations, {
      action: "purge",
      filter: { to: new Date(at.clock.now()) },
      ratePerSecond: 1,
    });
    await at.pass(500);
    await at.engine.commands.redrive(failed);
    await at.pass(10_000);
    expect(await at.engine.operations.get(operationId)).toMatchObject({
      status: "succeeded",
      progress: { selected: 3, done: 2, skipped: 1, failed: 0 },
    });
    for (const runId of ["p1", "p2", "p1~one", "p2~one"]) {
      await expect(at.show(runId)).rejects.toMatchObject({ code: "run_not_found" });
    }
    expect((await at.show(failed)).status).toBe("succeeded");
    expect((await at.show("open")).status).toBe("running");
  });

  test("a signal comes to each, once; one that was sent already is left alone, one that cannot be is a failure", async () => {
    const at = await harness([asking, sleeping]);
    const ids = await failing(at, 3, asking);
    await at.engine.commands.signal(ids[0]!, "go", { by: "Ada" });
    await at.engine.commands.start("sleeping", { runId: "deaf" });
    await at.pass(0);
    await at.engine.commands.start("asking", { runId: "waiting" });
    await at.engine.commands.pause("waiting");
    await at.engine.commands.signal("waiting", "go", { by: "Ada" });
    const { operationId } = await begin(at.engine.operations, {
      action: "signal",
      filter: { status: ["running", "paused"] },
      signal: { name: "go", payload: { by: "all" } },
    });
    await at.pass(3_000);
    const ended = await at.engine.operations.get(operationId);
    expect(ended).toMatchObject({ status: "succeeded", progress: { selected: 4, done: 2, skipped: 1, failed: 1 } });
    expect(ended.failures).toMatchObject([{ runId: "deaf", code: "signal_not_found" }]);
    expect((await at.show(ids[0]!)).output).toEqual({ by: "Ada" });
    expect((await at.show(ids[1]!)).output).toEqual({ by: "all" });
    expect((await at.show(ids[2]!)).output).toEqual({ by: "all" });
  });

  test("a payload that the signal's schema refuses fails each run, and not the operation", async () => {
    const at = await harness([asking]);
    await failing(at, limits.operationFailures + 5, asking);
    const { operationId } = await begin(at.engine.operations, {
      action: "signal",
      filter: { workflow: "asking" },
      signal: { name: "go", payload: 7 },
      ratePerSecond: 100,
    });
    await at.pass(3_000);
    const ended = await at.engine.operations.get(operationId);
    expect(ended).toMatchObject({ status: "succeeded", progress: { done: 0, failed: 105 } });
    expect(ended.failures).toHaveLength(limits.operationFailures);
    expect(ended.failures[0]).toMatchObject({ runId: "asking-0104", code: "invalid_payload" });
  });
});

describe("an abort", () => {
  test("acts on no further run, and says how many it had acted on", async () => {
    const at = await harness([flaky]);
    const ids = await failing(at, 50);
    const request = { action: "redrive", filter: { workflow: "flaky" }, ratePerSecond: 1 } as const;
    const { operationId } = await begin(at.engine.operations, request);
    await at.pass(33_500);
    expect((await at.engine.operations.abort(operationId)).status).toBe("cancelled");
    await at.pass(60_000);
    const ended = await at.engine.operations.get(operationId);
    const redriven = (await statusesOf(at, ids)).filter((status) => status === "succeeded").length;
    expect(redriven).toBeGreaterThan(25);
    expect(redriven).toBeLessThan(35);
    expect(ended).toMatchObject({ status: "cancelled", progress: { selected: 50, done: redriven } });
    // Aborting it again is no error; another operation of the same kind does the rest.
    await at.engine.operations.abort(operationId);
    await at.engine.operations.begin({ ...request, ratePerSecond: 50 });
    await at.pass(5_000);
    expect(new Set(await statusesOf(at, ids))).toEqual(new Set(["succeeded"]));
  });

  test("after the end is refused", async () => {
    const at = await harness([flaky]);
    const { operationId } = await begin(at.engine.operations, { action: "redrive", filter: { workflow: "flaky" } });
    await at.pass(1_000);
    expect(await at.engine.operations.get(operationId)).toMatchObject({
      status: "succeeded",
      progress: { selected: 0 },
    });
    await expect(at.engine.operations.abort(operationId)).rejects.toMatchObject({ code: "status_conflict" });
  });
});

describe("a dry run", () => {
  test("counts what is then done, and changes nothing", async () => {
    const at = await harness([flaky, sleeping]);
    await failing(at, 25);
    await at.engine.commands.start("sleeping");
    const request = { action: "redrive", filter: { status: "failed" }, ratePerSecond: 10 } as const;
    const told = (await at.engine.operations.begin({ ...request, dryRun: true })) as OperationEstimate;
    expect(told).toMatchObject({ action: "redrive", dryRun: true, runs: 25, isLimited: false, seconds: 3 });
    expect(told.examples).toHaveLength(limits.operationExamples);
    expect(told.examples[0]).toBe("flaky-0024");
    // 25 redrives of 4 units and 2 messages, one part of 5 units and 2 messages; three requests to SQS a message.
    expect(told.estimate).toMatchObject({ writeUnits: 105, requests: 156 });
    expect(told.estimate.dollars).toBeGreaterThan(105 * 0.625e-6 + 156 * 0.4e-6);
    expect(told.estimate.dollars).toBeLessThan(0.001);
    expect((await at.engine.queries.list({ workflow: "pawl-bulk" })).runs).toEqual([]);
    const { operationId } = await begin(at.engine.operations, request);
    await at.pass(5_000);
    expect((await at.engine.operations.get(operationId)).progress).toMatchObject({ selected: 25, done: 25 });
  });

  test("says when more match than one operation takes", async () => {
    const at = await harness([flaky]);
    await failing(at, 12);
    const filter = { workflow: "flaky" };
    const told = (limit: number): Promise<unknown> =>
      at.engine.operations.begin({ action: "redrive", filter, limit, dryRun: true });
    expect(await told(11)).toMatchObject({ runs: 11, isLimited: true });
    expect(await told(12)).toMatchObject({ runs: 12, isLimited: false });
  });
});

describe("what is refused", () => {
  const cases: readonly (readonly [what: string, request: unknown, message: RegExp])[] = [
    ["no criterion", { action: "cancel", filter: {} }, /names no runs/],
    ["a criterion that is mistyped", { action: "cancel", filter: { workflows: "flaky" } }, /workflows/],
    ["an option that is mistyped", { action: "cancel", filter: { workflow: "flaky" }, dryrun: true }, /dryrun/],
    ["an unknown action", { action: "delete", filter: { workflow: "flaky" } }, /action/],
    ["a status of no run", { action: "cancel", filter: { status: "done" } }, /status/],
    ["a status that it cannot act on", { action: "redrive", filter: { status: ["failed", "running"] } }, /running/],
    ["purging what is open", { action: "purge", filter: { status: "paused" } }, /paused/],
    ["operations themselves", { action: "terminate", filter: { workflow: "pawl-bulk" } }, /pawl-bulk/],
    ["a time that is none", { action: "cancel", filter: { from: "yesterday" } }, /filter\.from/],
    ["times in reverse", { action: "cancel", filter: { from: "2026-02-01", to: "2026-01-01" } }, /earlier/],
    ["a signal without a name", { action: "signal", filter: { workflow: "flaky" } }, /signal/],
    ["a signal for a redrive", { action: "redrive", filter: { workflow: "a" }, signal: { name: "b" } }, /signal/],
    ["a rate above all", { action: "cancel", filter: { workflow: "a" }, ratePerSecond: 201 }, /200/],
    ["more runs than fit", { action: "cancel", filter: { workflow: "a" }, ratePerSecond: 1, limit: 5_121 }, /5120/],
    ["an id that is none", { action: "cancel", filter: { workflow: "a" }, operationId: "a b" }, /operationId/],
  ];

  test.each(cases)("%s", async (_, request, message) => {
    const { engine } = await harness([flaky]);
    const asked = engine.operations.begin(request as OperationRequest);
    await expect(asked).rejects.toMatchObject({ code: "invalid_request", message: expect.stringMatching(message) });
    expect((await engine.queries.list()).runs).toEqual([]);
  });

  test("runs of Pawl itself are left out, unless they are meant; operations always", async () => {
    const at = await harness([sleeping]);
    await failing(at, 30, sleeping);
    const first = await begin(at.engine.operations, {
      action: "cancel",
      filter: { workflow: "sleeping" },
      ratePerSecond: 1,
    });
    await at.pass(1_500);
    const told = await at.engine.operations.begin({ action: "terminate", filter: { status: "running" }, dryRun: true });
    expect(told).toMatchObject({ runs: 29 });
    expect((await at.show(first.operationId)).workflow).toBe("pawl-bulk");
  });

  test("an operation that is none is not found", async () => {
    const at = await harness([sleeping]);
    const { runId } = await at.engine.commands.start("sleeping");
    for (const id of ["never", runId]) {
      await expect(at.engine.operations.get(id)).rejects.toMatchObject({ code: "operation_not_found" });
      await expect(at.engine.operations.abort(id)).rejects.toMatchObject({ code: "operation_not_found" });
    }
    expect((await at.show(runId)).status).toBe("running");
  });

  test("nobody starts one but by operations", async () => {
    const { engine } = await harness([flaky]);
    await expect(engine.commands.start("pawl-bulk", { input: {} })).rejects.toMatchObject({
      code: "workflow_not_found",
    });
  });
});

test("the same id and request begin one operation, another request is refused", async () => {
  const at = await harness([flaky]);
  await failing(at, 3);
  const request = { action: "redrive", filter: { workflow: "flaky", status: "failed" }, operationId: "op-1" } as const;
  await at.engine.operations.begin(request);
  await at.engine.operations.begin({ ...request, filter: { status: ["failed"], workflow: "flaky" } });
  await at.pass(2_000);
  expect(await at.engine.operations.begin(request)).toMatchObject({ status: "succeeded", progress: { done: 3 } });
  await expect(at.engine.operations.begin({ ...request, action: "purge" })).rejects.toMatchObject({
    code: "run_conflict",
    message: expect.stringContaining("operation or run op-1"),
  });
});

describe("a worker that dies", () => {
  /** Nobody waits: the pace is not what is looked at. */
  const impatient = (ports: Ports): Ports => ({
    ...ports,
    clock: { now: () => ports.clock.now(), after: (_ms, callback) => (setImmediate(callback), () => undefined) },
  });

  interface Scene {
    readonly rig: Rig;
    readonly operations: Operations;
    readonly workflowsOn: (ports: Ports) => readonly Workflow[];
  }

  async function scene(request: OperationRequest, workflows: readonly Workflow[]): Promise<Scene> {
    const rig = new Rig(workflows);
    const systemOn = (ports: Ports): ReturnType<typeof createSystem> =>
      createSystem({ workflows, ports: impatient(ports), index: rig.runIndex });
    isMended = false;
    calls.clear();
    for (let number = 0; number < 3; number++) await rig.commands.start(workflows[0]!.name, { runId: `run-${number}` });
    await rig.deliverAll(rig.worker());
    isMended = true;
    const { operations } = systemOn(rig.ports);
    await operations.begin({ ...request, operationId: "operation" });
    return { rig, operations, workflowsOn: (ports) => [...workflows, ...systemOn(ports).workflows] };
  }

  test("before or after any call of a port: each run is redriven once", async () => {
    const request = { action: "redrive", filter: { workflow: "flaky" } } as const;
    const undisturbed = await scene(request, [flaky]);
    const moments = await mortal(undisturbed.rig, undisturbed.workflowsOn, Infinity);
    for (let fatal = 1; fatal <= moments; fatal++) {
      const { rig, operations, workflowsOn } = await scene(request, [flaky]);
      await mortal(rig, workflowsOn, fatal);
      const ended = await operations.get("operation");
      expect(ended, `died at ${fatal}`).toMatchObject({
        status: "succeeded",
        progress: { selected: 3, done: 3, skipped: 0, failed: 0 },
      });
      for (let number = 0; number < 3; number++) {
        expect(await rig.show(`run-${number}`), `died at ${fatal}`).toMatchObject({ status: "succeeded", redrives: 1 });
      }
    }
    expect(moments).toBeGreaterThan(80);
  }, 60_000);

  test("before or after any call of a port: each run has its signal, once", async () => {
    const request = {
      action: "signal",
      filter: { workflow: "asking" },
      signal: { name: "go", payload: { by: "all" } },
    };
    const undisturbed = await scene(request as OperationRequest, [asking]);
    const moments = await mortal(undisturbed.rig, undisturbed.workflowsOn, Infinity);
    for (let fatal = 1; fatal <= moments; fatal++) {
      const { rig, operations, workflowsOn } = await scene(request as OperationRequest, [asking]);
      await mortal(rig, workflowsOn, fatal);
      const ended = await operations.get("operation");
      expect(ended, `died at ${fatal}`).toMatchObject({ progress: { selected: 3, done: 3, skipped: 0, failed: 0 } });
      for (let number = 0; number < 3; number++) {
        expect(await rig.show(`run-${number}`), `died at ${fatal}`).toMatchObject({ output: { by: "all" } });
      }
    }
  }, 60_000);

  test("before or after any call of a port: each run is purged, and counted", async () => {
    const request = { action: "purge", filter: { workflow: "flaky" } } as const;
    const undisturbed = await scene(request, [flaky]);
    const moments = await mortal(undisturbed.rig, undisturbed.workflowsOn, Infinity);
    for (let fatal = 1; fatal <= moments; fatal++) {
      const { rig, operations, workflowsOn } = await scene(request, [flaky]);
      await mortal(rig, workflowsOn, fatal);
      const ended = await operations.get("operation");
      expect(ended, `died at ${fatal}`).toMatchObject({ progress: { selected: 3, done: 3, skipped: 0, failed: 0 } });
      for (let number = 0; number < 3; number++) {
        await expect(rig.show(`run-${number}`), `died at ${fatal}`).rejects.toMatchObject({ code: "run_not_found" });
      }
    }
    expect(moments).toBeGreaterThan(50);
  }, 60_000);

  test("reading how far it is takes 18 runs at most", async () => {
    const many = limits.operationParts * limits.operationPartRuns;
    expect(many).toBeGreaterThanOrEqual(limits.operationRuns);
    const rig = new Rig([flaky]);
    const runs = Array.from({ length: 20 * limits.operationParts }, (_, number) => `r-${number}`);
    const found = runs.map((runId) => ({ runId, fields: { w: "flaky", st: "failed", n: 3 } }));
    // None of them is there: each is skipped, and the parts are as many as there may be.
    const index = {
      ...rig.runIndex,
      list: async ({ cursor = "0", limit }: { cursor?: string; limit: number }) => {
        const to = Number(cursor) + limit;
        return { runs: found.slice(Number(cursor), to), ...(to < found.length ? { cursor: String(to) } : {}) };
      },
    };
    let loads = 0;
    const store = { ...rig.ports.store, load: (runId: string) => (loads++, rig.ports.store.load(runId)) };
    const ports = impatient({ ...rig.ports, store });
    const { operations, workflows } = createSystem({ workflows: [flaky], ports, index });
    await operations.begin({ action: "redrive", filter: { workflow: "flaky" }, ratePerSecond: 1, operationId: "wide" });
    const worker = rig.worker([flaky, ...workflows]);
    // Up to the last part, which is held up: its operation is still under way.
    const last = runs.at(-1);
    const get = rig.ports.store.get.bind(rig.ports.store);
    const held = Promise.withResolvers<undefined>();
    store.get = (runId) => (runId === last ? held.promise.then(() => get(runId)) : get(runId));
    const delivered = rig.deliverAll(worker);
    await expect
      .poll(async () => (await operations.get("wide")).progress.skipped, { timeout: 20_000 })
      .toBe(runs.length - 20);
    loads = 0;
    await operations.get("wide");
    expect(loads).toBeLessThanOrEqual(18);
    expect(loads).toBeGreaterThan(16);
    held.resolve(undefined);
    await delivered;
  }, 30_000);
});

test("a run that is started after the operation is not selected, however late the selecting begins", async () => {
  const rig = new Rig([flaky]);
  isMended = false;
  await rig.commands.start("flaky", { runId: "before" });
  await rig.deliverAll(rig.worker());
  const { operations, workflows } = createSystem({ workflows: [flaky], ports: rig.ports, index: rig.runIndex });
  await rig.clock.advance(1_000);
  const request = {
    action: "redrive",
    filter: { workflow: "flaky" },
    dryRun: false,
    operationId: "operation",
  } as const;
  await operations.begin(request);
  await rig.clock.advance(1);
  await rig.commands.start("flaky", { runId: "after" });
  // A worker without the code of operations parks it.
  await rig.deliverAll(rig.worker());
  expect((await operations.get("operation")).status).toBe("paused");
  isMended = true;
  await rig.commands.resume("operation");
  const delivered = rig.deliverAll(rig.worker([flaky, ...workflows]));
  await rig.clock.advance(5_000);
  await delivered;
  expect(await operations.get("operation")).toMatchObject({ status: "succeeded", progress: { selected: 1, done: 1 } });
  expect((await rig.show("before")).status).toBe("succeeded");
  expect((await rig.show("after")).status).toBe("failed");
});

test("what is wrong with the storage makes the part come again; what stays wrong is the run's failure", async () => {
  const rig = new Rig([flaky]);
  isMended = false;
  for (let number = 0; number < 3; number++) await rig.commands.start("flaky", { runId: `run-${number}` });
  await rig.deliverAll(rig.worker());
  isMended = true;
  let refusals = 0;
  const { store } = rig.ports;
  const ports: Ports = {
    ...rig.ports,
    store: {
      ...store,
      update: async (runId, transition) => {
        if (runId === "run-1" || (runId === "run-2" && refusals++ < 2)) throw new Error("the disk is full");
        return store.update(runId, transition);
      },
    },
  };
  const { operations, workflows } = createSystem({ workflows: [flaky], ports, index: rig.runIndex });
  await operations.begin({ action: "redrive", filter: { workflow: "flaky" }, operationId: "operation" });
  const worker = rig.worker([flaky, ...workflows]);
  for (let minute = 0; minute < 120; minute++) {
    const delivered = rig.deliverAll(worker);
    await rig.clock.advance(30_000);
    await delivered;
  }
  const ended = await operations.get("operation");
  expect(ended).toMatchObject({ status: "succeeded", progress: { done: 2, skipped: 0, failed: 1 } });
  expect(ended.failures).toEqual([{ runId: "run-1", code: "internal_error", message: "Error: the disk is full" }]);
  expect(await rig.show("run-2")).toMatchObject({ status: "succeeded", redrives: 1 });
});

test("a workflow of a user has no name that is Pawl's", () => {
  expect(() => workflow("pawl-mine", {}, (w) => w.step("a", { run: () => 1 }))).toThrow(
    /names that begin with "pawl-"/,
  );
});
