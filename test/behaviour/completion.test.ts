// Hunts: a wait that asks in a loop, misses an end, believes a stale notice, hangs, or leaves something behind.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import { type Completions, createCompletions } from "../../lib/runtime/completion.ts";
import { PawlError } from "../../lib/runtime/errors.ts";
import type { Ports, RunStore } from "../../lib/runtime/ports.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { PostOffice } from "../runtime/post-office.ts";
import { mortal } from "./mortal.ts";
import { Rig } from "./rig.ts";

const hello = workflow("hello", {}, (w) => w.step("greet", { run: () => "hello" }));
const asks = workflow("asks", {}, (w) => {
  const go = w.signal("go", { payload: z.boolean(), onTimeout: "fail", timeout: "2d" });
  return w.step("done", {
    after: [go],
    run: ({ outputs }) => {
      if (!outputs.go) throw new FatalError("it was not allowed to");
      return "done";
    },
  });
});
const short = workflow("short", { timeout: "1m" }, (w) => w.signal("go", {}));
const parent = workflow("parent", {}, (w) => w.child("child", { workflow: asks }));

const all: readonly Workflow[] = [hello, asks, short, parent];

class Waiting {
  readonly office = new PostOffice();
  readonly rig = new Rig(all, this.office);
  /** What the process that waits asks of the store. */
  readonly asked: string[] = [];
  readonly completions: Completions = this.process();

  process(): Completions {
    const { store } = this.rig.ports;
    const counted: RunStore = {
      ...store,
      update: (runId, transition) => this.#count("update", store.update(runId, transition)),
      get: (runId) => this.#count("get", store.get(runId)),
      load: (runId) => this.#count("load", store.load(runId)),
      getPayloads: (runId, keys) => this.#count("getPayloads", store.getPayloads(runId, keys)),
      putPayload: (runId, key, json) => this.#count("putPayload", store.putPayload(runId, key, json)),
      putGraph: (name, fingerprint, json) => store.putGraph(name, fingerprint, json),
      getGraph: (name, fingerprint) => store.getGraph(name, fingerprint),
    };
    const ports: Ports = { ...this.rig.ports, store: counted };
    const commands = createCommands({ workflows: all, ports });
    return createCompletions({ ports, commands, createReplyQueue: this.office.create });
  }

  #count<T>(what: string, answer: Promise<T>): Promise<T> {
    this.asked.push(what);
    return answer;
  }

  async start(name: string, runId = "run"): Promise<void> {
    await this.rig.commands.start(name, { runId });
    await this.rig.deliverAll(this.rig.worker());
  }

  /** Lets everything happen that can. */
  async goOn(workflows: readonly Workflow[] = all): Promise<void> {
    await this.rig.deliverAll(this.rig.worker(workflows));
    await atRest(20);
  }

  async pass(ms: number): Promise<void> {
    await this.rig.clock.advance(ms);
    await this.goOn();
  }
}

interface Watched {
  result?: RunView;
  error?: unknown;
}

/** What becomes of it, without waiting for it. */
function watch(promise: Promise<RunView>): Watched {
  const watched: Watched = {};
  promise.then(
    (result) => void (watched.result = result),
    (error: unknown) => void (watched.error = error),
  );
  return watched;
}

function refused(code: string): unknown {
  return expect.objectContaining({ constructor: PawlError, code });
}

describe("a wait", () => {
  test("costs one write when it begins and one read at its end, however long it takes", async () => {
    const w = new Waiting();
    await w.start("asks");
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.goOn();
    expect(w.asked).toEqual(["update"]);
    await w.pass(limits.waiterMs - 1);
    expect(w.asked).toEqual(["update"]);
    await w.rig.commands.signal("run", "go", true);
    await w.goOn();
    expect(wait.result).toMatchObject({ status: "succeeded", output: "done" });
    expect(w.asked).toEqual(["update", "load"]);
    expect(w.office.receiving).toBe(0);
  });

  test("of a run that has ended is one refused write and one read", async () => {
    const w = new Waiting();
    await w.start("hello");
    expect(await w.completions.waitForCompletion("run")).toMatchObject({ status: "succeeded", output: "hello" });
    expect(w.asked).toEqual(["update", "load"]);
    expect(w.office.sent).toEqual([]);
  });

  test("of a run that is not there is refused, and so is a timeout that is none", async () => {
    const w = new Waiting();
    await expect(w.completions.waitForCompletion("nobody")).rejects.toEqual(refused("run_not_found"));
    await expect(w.completions.waitForCompletion("x#y")).rejects.toEqual(refused("run_not_found"));
    for (const timeout of ["0s", "367d", "soon"]) {
      await expect(w.completions.waitForCompletion("run", { timeout: timeout as "1s" })).rejects.toEqual(
        refused("invalid_request"),
      );
    }
  });

  test.each<[string, string, (w: Waiting) => Promise<unknown>]>([
    ["succeeded", "asks", ({ rig }) => rig.commands.signal("run", "go", true)],
    ["failed", "asks", ({ rig }) => rig.commands.signal("run", "go", false)],
    ["failed", "asks", (w) => w.pass(2 * 24 * 3_600_000)],
    ["cancelled", "asks", ({ rig }) => rig.commands.cancel("run")],
    ["cancelled", "asks", ({ rig }) => rig.commands.terminate("run")],
    ["timed_out", "short", (w) => w.pass(60_000)],
    ["succeeded", "parent", ({ rig }) => rig.commands.signal("run~child", "go", true)],
  ])("hears that the run %s (%s: %s)", async (status, name, end) => {
    const w = new Waiting();
    await w.start(name);
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.goOn();
    await end(w);
    await w.goOn();
    expect(wait.result?.status).toBe(status);
  });

  test.each<[string, (w: Waiting) => Promise<unknown>]>([
    ["its parent", ({ rig }) => rig.commands.cancel("run")],
    ["its parent at once", ({ rig }) => rig.commands.terminate("run")],
  ])("hears that a child ended with %s", async (_what, end) => {
    const w = new Waiting();
    await w.start("parent");
    const wait = watch(w.completions.waitForCompletion("run~child"));
    await w.goOn();
    await end(w);
    await w.goOn();
    expect(wait.result?.status).toBe("cancelled");
  });

  test("hears that the engine gave up", async () => {
    const w = new Waiting();
    await w.rig.commands.start("hello", { runId: "run" });
    const wait = watch(w.completions.waitForCompletion("run"));
    await atRest();
    const { body } = await w.rig.receive();
    await w.rig.worker().deadLetter(body, "on purpose");
    await w.goOn();
    expect(wait.result?.status).toBe("failed");
  });

  test("that is over tells the run as it is, and the run goes on", async () => {
    const w = new Waiting();
    await w.start("asks");
    const wait = watch(w.completions.waitForCompletion("run", { timeout: "10s" }));
    await w.pass(9_999);
    expect(wait).toEqual({});
    await w.pass(1);
    expect(wait.error).toEqual(refused("wait_timeout"));
    expect(wait.error).toMatchObject({ details: { run: { runId: "run", status: "running" } } });
    expect(w.office.receiving).toBe(0);
    // Nobody waits any more, and nobody is told.
    await w.rig.clock.advance(limits.clockSkewMs + 1);
    await w.rig.commands.signal("run", "go", true);
    await w.goOn();
    expect(w.office.sent).toEqual([]);
  });

  test("ends with its signal, before and after it has begun", async () => {
    const w = new Waiting();
    await w.start("asks");
    const reason = new Error("no longer wanted");
    await expect(w.completions.waitForCompletion("run", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const wait = watch(w.completions.waitForCompletion("run", { signal: controller.signal }));
    await w.goOn();
    controller.abort(reason);
    await w.goOn();
    expect(wait.error).toBe(reason);
  });
});

describe("a run that is parked", () => {
  const without = all.map((one) =>
    one === hello ? workflow("hello", {}, (w) => w.step("other", { run: () => 1 })) : one,
  );

  test("ends the wait at once, and so does one that was parked before", async () => {
    const w = new Waiting();
    await w.rig.commands.start("hello", { runId: "run" });
    const wait = watch(w.completions.waitForCompletion("run"));
    await atRest();
    await w.goOn(without);
    expect(wait.error).toEqual(refused("run_parked"));
    expect(wait.error).toMatchObject({ details: { pause: { code: "step_missing" } } });
    await expect(w.completions.waitForCompletion("run")).rejects.toEqual(refused("run_parked"));
  });

  test("is told as it is to who takes it so, when it was not parked before", async () => {
    const w = new Waiting();
    await w.rig.commands.start("hello", { runId: "run" });
    const wait = watch(w.completions.waitForEnd("run", { timeoutMs: 20_000 }));
    await atRest();
    await w.goOn(without);
    expect(wait.result?.pause?.code).toBe("step_missing");
    const next = watch(w.completions.waitForEnd("run", { timeoutMs: 20_000 }));
    await w.pass(19_999);
    expect(next).toEqual({});
    await w.pass(1);
    expect(next.result?.status).toBe("paused");
  });

  test("on request is only paused: the wait goes on", async () => {
    const w = new Waiting();
    await w.start("asks");
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.goOn();
    await w.rig.commands.pause("run");
    await w.goOn();
    expect(wait).toEqual({});
    await w.rig.commands.resume("run");
    await w.rig.commands.signal("run", "go", true);
    await w.goOn();
    expect(wait.result?.status).toBe("succeeded");
  });
});

describe("notices", () => {
  test("that are repeated, foreign, malformed or of a former epoch end no wait", async () => {
    const w = new Waiting();
    await w.start("asks");
    await w.rig.commands.cancel("run");
    await w.rig.commands.redrive("run");
    await w.goOn();
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.goOn();
    const notice = { v: 1, runId: "run", status: "cancelled", epoch: 0 };
    const others = [
      notice,
      { ...notice, runId: "other", epoch: 1 },
      { ...notice, v: 2, epoch: 1 },
      "x",
      null,
      { epoch: 1 },
    ];
    for (const body of others) w.office.put("q-1", body);
    await w.goOn();
    expect(wait).toEqual({});
    expect(w.asked).toEqual(["update"]);
    await w.rig.commands.cancel("run");
    await w.goOn();
    expect(wait.result?.status).toBe("cancelled");
  });

  test("that are lost cost an hour at most, and no wait its timeout", async () => {
    const w = new Waiting();
    await w.start("asks");
    // Also that of the nudge which was armed before the run was cancelled.
    w.office.loses = 2;
    const wait = watch(w.completions.waitForCompletion("run", { timeout: "30m" }));
    const longer = watch(w.completions.waitForCompletion("run"));
    await w.goOn();
    await w.rig.commands.cancel("run");
    await w.pass(30 * 60_000 - 1);
    expect(wait).toEqual({});
    await w.pass(1);
    expect(wait.result?.status).toBe("cancelled");
    expect(longer).toEqual({});
    await w.pass(limits.waiterMs);
    expect(longer.result?.status).toBe("cancelled");
  });

  test("of an end that a redrive has undone let the wait go on, for the next end", async () => {
    const w = new Waiting();
    await w.start("asks");
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.goOn();
    w.office.keepsBack = [];
    await w.rig.commands.cancel("run");
    await w.rig.commands.redrive("run");
    w.office.release();
    await w.goOn();
    expect(wait).toEqual({});
    expect(w.asked).toEqual(["update", "load", "update"]);
    await w.rig.commands.signal("run", "go", true);
    await w.goOn();
    expect(wait.result?.status).toBe("succeeded");
  });

  test("reach everybody who waits when the worker dies at any moment of ending the run", async () => {
    for (let fatal = 1, moments = 2; fatal <= moments; fatal++) {
      const w = new Waiting();
      await w.rig.commands.start("hello", { runId: "run" });
      const wait = watch(w.completions.waitForCompletion("run"));
      await atRest();
      moments = await mortal(w.rig, all, fatal);
      await atRest(20);
      expect(wait.result?.status, `dies at moment ${fatal} of ${moments}`).toBe("succeeded");
    }
  });

  test("reach who waits for a child, when the worker dies at any moment of ending it with its parent", async () => {
    for (let fatal = 1, moments = 2; fatal <= moments; fatal++) {
      const w = new Waiting();
      await w.start("parent");
      const wait = watch(w.completions.waitForCompletion("run~child"));
      // What was armed when the child was started would tell it, too.
      await w.pass(limits.nudgeDelayMs + 1);
      await w.rig.commands.terminate("run");
      moments = await mortal(w.rig, all, fatal);
      await atRest(20);
      expect(wait.result?.status, `dies at moment ${fatal} of ${moments}`).toBe("cancelled");
    }
  });

  test("come before a redrive when whoever ended the run died before it could send them", async () => {
    const w = new Waiting();
    await w.start("asks");
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.goOn();
    w.office.loses = 1;
    await w.rig.commands.cancel("run");
    await w.goOn();
    expect(wait).toEqual({});
    await w.rig.commands.redrive("run");
    await w.goOn();
    // It has looked, and is registered anew.
    expect(wait).toEqual({});
    expect(w.asked).toEqual(["update", "load", "update"]);
    await w.rig.commands.terminate("run");
    await w.goOn();
    expect(wait.result?.status).toBe("cancelled");
  });
});

describe("the waits of one process", () => {
  test("share a queue and one request for notices", async () => {
    const w = new Waiting();
    const runIds = Array.from({ length: 50 }, (_, at) => `run-${at}`);
    for (const runId of runIds) await w.start("asks", runId);
    const waits = runIds.map((runId) => watch(w.completions.waitForCompletion(runId)));
    const twice = watch(w.completions.waitForCompletion("run-0", { timeout: "1h" }));
    await w.goOn();
    expect(w.office.made).toBe(1);
    expect(w.office.receiving).toBe(1);
    for (const runId of runIds) await w.rig.commands.signal(runId, "go", true);
    await w.goOn();
    expect([...waits, twice].filter(({ result }) => result?.status === "succeeded")).toHaveLength(51);
    expect(w.office.receiving).toBe(0);
  });

  test("cut no request off, whether they are under way or find an end", async () => {
    const w = new Waiting();
    for (const runId of ["a", "b", "c"]) {
      await w.start("asks", runId);
      const wait = watch(w.completions.waitForCompletion(runId));
      await w.goOn();
      await w.rig.commands.cancel(runId);
      await w.goOn();
      expect(wait.result?.status).toBe("cancelled");
      expect((await w.completions.waitForCompletion(runId)).status).toBe("cancelled");
    }
    expect([w.office.aborted, w.office.receiving, w.office.made]).toEqual([0, 0, 1]);
  });

  test("make a new queue after twelve hours, and the old one goes when nobody waits there", async () => {
    const w = new Waiting();
    await w.start("asks");
    await w.start("asks", "later");
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.pass(limits.replyQueueMs - 30 * 60_000);
    expect([...w.office.boxes.keys()]).toEqual(["q-1"]);
    await w.pass(30 * 60_000);
    const later = watch(w.completions.waitForCompletion("later"));
    await w.goOn();
    expect(w.office.boxes.has("q-2")).toBe(true);
    await w.pass(limits.waiterMs);
    expect([...w.office.boxes.keys()]).toEqual(["q-2"]);
    await w.rig.commands.cancel("run");
    await w.rig.commands.cancel("later");
    await w.goOn();
    expect([wait.result?.status, later.result?.status]).toEqual(["cancelled", "cancelled"]);
  });

  test("go on at another queue when theirs is deleted, and when it fails for a while", async () => {
    const w = new Waiting();
    await w.start("asks");
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.goOn();
    w.office.lose("q-1");
    await w.goOn();
    expect([...w.office.boxes.keys()]).toEqual(["q-2"]);
    w.office.fails = 4;
    w.office.put("q-2", "nonsense");
    await w.goOn();
    await w.rig.commands.cancel("run");
    await w.pass(20_000);
    expect(wait.result?.status).toBe("cancelled");
  });

  test("that cannot have a queue fail, and the next one tries again", async () => {
    const w = new Waiting();
    await w.start("hello");
    w.office.fails = 1;
    await expect(w.completions.waitForCompletion("run")).rejects.toThrow("on purpose");
    expect((await w.completions.waitForCompletion("run")).status).toBe("succeeded");
  });

  test(`are refused on a run for which ${limits.waiters} processes wait`, async () => {
    const w = new Waiting();
    await w.start("asks");
    const others = Array.from({ length: limits.waiters }, () => w.process());
    const waits = others.map((one) => watch(one.waitForCompletion("run", { timeout: "10m" })));
    await w.goOn();
    await expect(w.completions.waitForCompletion("run")).rejects.toEqual(refused("unavailable"));
    await w.pass(10 * 60_000 + limits.clockSkewMs + 1);
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.goOn();
    await w.rig.commands.cancel("run");
    await w.goOn();
    expect(wait.result?.status).toBe("cancelled");
    expect(waits.every(({ error }) => (error as PawlError).code === "wait_timeout")).toBe(true);
  });

  test("end with the client, and nothing of it is left", async () => {
    const w = new Waiting();
    await w.start("asks");
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.goOn();
    await w.completions.close();
    await w.goOn();
    expect(wait.error).toEqual(refused("unavailable"));
    expect([w.office.boxes.size, w.office.receiving]).toEqual([0, 0]);
    await expect(w.completions.waitForCompletion("run")).rejects.toEqual(refused("unavailable"));
    await w.completions.close();
    expect(w.office.made).toBe(1);
  });

  test("end with a client that is closed while its queue is being made", async () => {
    const w = new Waiting();
    await w.start("asks");
    const wait = watch(w.completions.waitForCompletion("run"));
    await w.completions.close();
    await w.goOn();
    expect(wait.error).toEqual(refused("unavailable"));
    expect([w.office.boxes.size, w.office.receiving]).toEqual([0, 0]);
  });
});
