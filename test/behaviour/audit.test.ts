// Hunts: an open run that has lost its messages and stays where it is (R5), and an audit that buries a slow queue in copies.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { create, newRun } from "../../lib/engine/start.ts";
import { type Workflow, workflow } from "../../lib/index.ts";
import { type Audit, type Audited, createAudit } from "../../lib/runtime/audit.ts";
import type { OpenRuns } from "../../lib/runtime/ports.ts";
import { harness, temporaryFolder, virtualClock } from "./harness.ts";
import { Rig } from "./rig.ts";

const run = (): number => 1;
const hello = workflow("hello", {}, (w) => w.step("greet", { run }));
const longAfterMs = limits.auditAfterMs + 60_000;

function auditOf(rig: Rig, workflows: readonly Workflow[], openRuns: OpenRuns = rig.openRuns): Audit {
  return createAudit({ workflows, ports: rig.ports, openRuns });
}

const counted = (seen: number, stuck: number): Audited => ({ seen, stuck, cursor: undefined });

describe("an audit", () => {
  test("brings back a run whose messages are gone, once they are overdue", async () => {
    const rig = new Rig([hello]);
    const audit = auditOf(rig, [hello]);
    await rig.commands.start("hello", { runId: "a" });
    rig.loseMessages();
    await rig.clock.advance(limits.auditAfterMs);
    expect(await audit()).toEqual(counted(1, 0));
    await rig.clock.advance(1);
    expect(await audit()).toEqual(counted(1, 1));
    expect(rig.logs.filter(({ level }) => level === "warn")).toMatchObject([
      { message: "an open run should have moved long ago", fields: { runId: "a", workflow: "hello", repaired: true } },
    ]);
    await rig.deliverAll(rig.worker());
    expect(await rig.show("a")).toMatchObject({ status: "succeeded", output: 1 });
    expect(await audit()).toEqual(counted(0, 0));
  });

  test("goes by the runs, not by an index that lags: names that are old, twice there or missing do no harm", async () => {
    const rig = new Rig([hello]);
    await rig.commands.start("hello", { runId: "ended" });
    await rig.deliverAll(rig.worker());
    await rig.commands.start("hello", { runId: "fresh" });
    await rig.commands.start("hello", { runId: "unnamed" });
    rig.loseMessages();
    await rig.clock.advance(longAfterMs);
    const before = await rig.show("ended");
    let runIds = ["ended", "fresh", "fresh", "never-written"];
    const audit = auditOf(rig, [hello], { page: async () => ({ runIds, cursor: undefined }) });
    expect(await audit()).toEqual(counted(2, 2));
    await rig.deliverAll(rig.worker());
    expect(await rig.show("ended")).toEqual(before);
    expect(await rig.show("fresh")).toMatchObject({ status: "succeeded", steps: { greet: { attempt: 1 } } });
    expect(await rig.show("unnamed")).toMatchObject({ status: "running" });
    // Later the index has caught up.
    runIds = ["unnamed"];
    expect(await audit()).toEqual(counted(1, 1));
    await rig.deliverAll(rig.worker());
    expect(await rig.show("unnamed")).toMatchObject({ status: "succeeded" });
  });

  test("does not count the time in which nothing could run", async () => {
    const rig = new Rig([hello]);
    const audit = auditOf(rig, [hello]);
    await rig.commands.start("hello", { runId: "a" });
    await rig.clock.advance(longAfterMs);
    expect(await audit({ upSinceMs: rig.clock.now() - 60_000 })).toEqual(counted(1, 0));
    expect(await audit({ upSinceMs: rig.clock.now() - longAfterMs })).toEqual(counted(1, 1));
  });

  test("knows runs that began with another version, by the stored graph", async () => {
    const rig = new Rig([hello]);
    await rig.commands.start("hello", { runId: "a" });
    rig.loseMessages();
    await rig.clock.advance(longAfterMs);
    const newer = workflow("hello", {}, (w) => {
      const greet = w.step("greet", { run });
      return w.step("wave", { after: [greet], run });
    });
    expect(await auditOf(rig, [newer])()).toEqual(counted(1, 1));
    await rig.deliverAll(rig.worker([newer]));
    expect((await rig.show("a")).steps).toEqual({ greet: expect.objectContaining({ status: "succeeded" }) });
  });

  test("leaves what it cannot read, or has no graph of, to people, and looks at the rest", async () => {
    const rig = new Rig([hello]);
    for (const runId of ["damaged", "strange", "a"]) await rig.commands.start("hello", { runId });
    await rig.ports.store.update("damaged", { guard: [], set: { v: 99 } });
    await rig.ports.store.update("strange", { guard: [], set: { f: "gone" } });
    rig.loseMessages();
    await rig.clock.advance(longAfterMs);
    expect(await auditOf(rig, [hello])()).toEqual(counted(3, 1));
    expect(rig.logs.filter(({ level }) => level === "error").map(({ message }) => message)).toEqual(
      expect.arrayContaining(["an open run cannot be read", expect.stringContaining("neither in the code nor")]),
    );
  });

  test("repeats the messages of a run that stays stuck ever more rarely, and counts it each time", async () => {
    const rig = new Rig([hello]);
    const audit = auditOf(rig, [hello]);
    await rig.commands.start("hello", { runId: "a" });
    const day = 96;
    for (let round = 0; round < day; round++) {
      await rig.clock.advance(limits.auditAfterMs + 1);
      expect((await audit()).stuck).toBe(1);
    }
    const repeated = rig.logs.filter(({ fields }) => fields.repaired === true).length;
    // With random numbers it is about the logarithm; the rig's are all 0.5.
    expect(repeated).toBeGreaterThanOrEqual(2);
    expect(repeated).toBeLessThanOrEqual(10);
  });

  test("goes on where it stopped, and ends", async () => {
    const rig = new Rig([hello]);
    const pages = new Map<string | undefined, { readonly runIds: readonly string[]; readonly cursor?: string }>();
    const runIds = Array.from({ length: 30 }, (_, index) => `r${index}`);
    for (const runId of runIds) await rig.commands.start("hello", { runId });
    rig.loseMessages();
    await rig.clock.advance(longAfterMs);
    const asked: (string | undefined)[] = [];
    const page = { runIds: Array.from({ length: limits.auditRuns }, (_, index) => `r${index % 30}`), cursor: "two" };
    pages.set(undefined, page).set("two", { runIds: ["r0", "gone"] });
    const openRuns: OpenRuns = {
      page: async (cursor) => {
        asked.push(cursor);
        return { cursor: undefined, ...pages.get(cursor)! };
      },
    };
    const audit = auditOf(rig, [hello], openRuns);
    const first = await audit();
    expect(first).toMatchObject({ seen: limits.auditRuns, cursor: "two" });
    expect(await audit({ cursor: first.cursor })).toEqual(counted(1, 1));
    expect(asked).toEqual([undefined, "two"]);
  });

  test("fails with the store, and leaves nothing behind that still works", async () => {
    const rig = new Rig([hello]);
    await rig.commands.start("hello", { runId: "a" });
    const store = { ...rig.ports.store, get: () => Promise.reject(new Error("no answer")) };
    const audit = createAudit({ workflows: [hello], ports: { ...rig.ports, store }, openRuns: rig.openRuns });
    await expect(audit()).rejects.toThrow("no answer");
  });
});

describe("what only an audit notices", () => {
  test("a child whose end was not told", async () => {
    const parent = workflow("parent", {}, (w) => w.child("sub", { workflow: hello }));
    const rig = new Rig([parent]);
    const worker = rig.worker();
    await rig.commands.start("parent", { runId: "a" });
    // The parent begins, then the child runs; what it tells the parent is lost.
    await rig.deliver(worker);
    await rig.deliver(worker);
    rig.loseMessages();
    await rig.clock.advance(longAfterMs);
    expect((await rig.show("a~sub")).status).toBe("succeeded");
    expect(await auditOf(rig, [parent])()).toEqual(counted(1, 1));
    await rig.deliverAll(worker);
    expect(await rig.show("a")).toMatchObject({ status: "succeeded", output: 1 });
  });

  test("a child that goes on although its parent was terminated", async () => {
    const waits = workflow("waits", {}, (w) => void w.signal("go"));
    const parent = workflow("parent", {}, (w) => w.child("sub", { workflow: waits }));
    const rig = new Rig([parent]);
    const worker = rig.worker();
    await rig.commands.start("parent", { runId: "a" });
    await rig.deliverAll(worker);
    await rig.commands.terminate("a");
    rig.loseMessages();
    await rig.clock.advance(longAfterMs);
    expect((await rig.show("a~sub")).status).toBe("running");
    expect(await auditOf(rig, [parent])()).toEqual(counted(1, 1));
    await rig.deliverAll(worker);
    expect((await rig.show("a~sub")).status).toBe("cancelled");
    expect(await auditOf(rig, [parent])()).toEqual(counted(0, 0));
  });

  test("a run that was settled by nobody", async () => {
    const rig = new Rig([hello]);
    await rig.commands.start("hello", { runId: "a" });
    rig.loseMessages();
    const at = rig.clock.now().toString(36);
    await rig.ports.store.update("a", { guard: [], set: { s0: `s1.${at}.0`, o0: "1" } });
    await rig.clock.advance(longAfterMs);
    expect(await auditOf(rig, [hello])()).toEqual(counted(1, 1));
    expect((await rig.show("a")).status).toBe("succeeded");
  });

  test("a turn that nobody hands on: it is handed on, and the runs that wait for it are not stuck", async () => {
    const one = workflow("one", { concurrency: { limit: 1 } }, (w) => w.step("work", { run }));
    const rig = new Rig([one]);
    for (const runId of ["a", "b"]) await rig.commands.start("one", { runId });
    rig.loseMessages();
    // Whose turn it is was to be told next: as if the process had died right then, and its message with it.
    await rig.ports.store.update("gate#one#", { guard: [], set: { g: 2, p: 2, h2: 1 }, remove: ["h1"] });
    await rig.commands.terminate("a");
    rig.loseMessages();
    await rig.clock.advance(longAfterMs);
    await auditOf(rig, [one])();
    await rig.deliverAll(rig.worker());
    expect((await rig.show("b")).status).toBe("succeeded");
  });
});

describe("the embedded engine", () => {
  test("starts what a process left behind that was held up in its start, and died", async () => {
    const dataDir = await temporaryFolder();
    const before = await harness([hello], { dataDir });
    await before.engine.commands.start("hello", { runId: "other" });
    await before.pass(1);
    const { input, inputHash } = newStart();
    await before.engine.stop();
    const { openSqliteBackend } = await import("../../lib/embedded/sqlite-backend.ts");
    const { join } = await import("node:path");
    const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    const file = openSqliteBackend({ file: join(dataDir, "pawl.db"), clock: before.clock, logger });
    const late = newRun(
      hello.graph,
      { runId: "a", fingerprint: hello.fingerprint, input, inputHash },
      before.clock.now(),
    );
    await file.update("a", create(late));
    await file.close();

    const { pass, show, clock } = await harness([hello], { dataDir, clock: virtualClock(before.clock.now()) });
    await pass(limits.auditAfterMs);
    expect((await show("a")).status).toBe("running");
    await pass(1_000);
    expect((await show("a")).status).toBe("succeeded");
    // There is no further audit: what is left is the end of the other run's retention.
    expect(clock.nextTimerAtMs()).toBe(Date.parse((await show("other")).expiresAt ?? ""));
  });

  test("that began with nothing open has no timer", async () => {
    const { clock } = await harness([hello]);
    expect(clock.nextTimerAtMs()).toBeUndefined();
  });
});

function newStart(): { readonly input: { readonly json: string }; readonly inputHash: string } {
  return { input: { json: "" }, inputHash: "h" };
}
