// Hunts a list of open runs that misses some, never ends, or names what is no run (R5, R10).
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { field } from "../../lib/engine/codec.ts";
import type { RunStatus } from "../../lib/engine/run-state.ts";
import type { OpenRuns, RunStore } from "../../lib/runtime/ports.ts";

export interface OpenRunsHarness {
  readonly store: RunStore;
  readonly openRuns: OpenRuns;
  close(): Promise<void>;
}

/** More than one page of any store. */
const many = 1_100;

/**
 * Runs the suite on what `makeHarness` opens, once per test. Ids are unique, so a shared table will do; but other open
 * runs in it make the suite slow.
 */
export function openRunsContract(name: string, makeHarness: () => Promise<OpenRunsHarness>): void {
  describe(`${name}: open runs contract`, () => {
    let harness: OpenRunsHarness;
    let prefix: string;

    beforeEach(async () => {
      harness = await makeHarness();
      prefix = `open-${crypto.randomUUID()}-`;
    });
    afterEach(() => harness.close());

    async function start(id: string, fingerprint = "0123456789abcdef"): Promise<string> {
      const runId = `${prefix}${id}`;
      const set = { st: "running", w: "orders", c: 1_800_000_000_000, f: fingerprint, v: 1 };
      await harness.store.update(runId, { guard: [{ field: field.status, is: "absent" }], set });
      return runId;
    }

    async function turn(runId: string, from: RunStatus, to: RunStatus): Promise<void> {
      const guard = [{ field: field.status, is: "equal", value: from }] as const;
      expect(await harness.store.update(runId, { guard, set: { [field.status]: to } })).toMatchObject({
        applied: true,
      });
    }

    /** Those of this test, page by page. */
    async function list(): Promise<string[]> {
      const all: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await harness.openRuns.page(cursor);
        all.push(...page.runIds);
        cursor = page.cursor;
      } while (cursor !== undefined);
      return all.filter((runId) => runId.startsWith(prefix)).sort();
    }

    /** The list may lag behind. */
    const expectList = (runIds: readonly string[]): Promise<void> =>
      vi.waitFor(async () => expect(await list()).toEqual([...runIds].sort()), { timeout: 5_000, interval: 50 });

    test("none, when there is none", async () => {
      await expectList([]);
    });

    test("those that go on, are paused or unwind; not those that have ended", async () => {
      const going = await start("going");
      const paused = await start("paused");
      const unwinding = await start("unwinding");
      await turn(paused, "running", "paused");
      await turn(unwinding, "running", "unwinding");
      for (const status of ["succeeded", "failed", "cancelled", "timed_out"] as const) {
        await turn(await start(status), "running", status);
      }
      await expectList([going, paused, unwinding]);
      await turn(paused, "paused", "cancelled");
      await expectList([going, unwinding]);
    });

    test("a run that was redriven goes on again", async () => {
      const runId = await start("redriven");
      await turn(runId, "running", "failed");
      await expectList([]);
      await turn(runId, "failed", "running");
      await expectList([runId]);
    });

    test("a write that leaves the status alone changes nothing", async () => {
      const runId = await start("written");
      await harness.store.update(runId, { guard: [], set: { s0: "r1.0.0.me", n: 2 } });
      await expectList([runId]);
    });

    test("parts of maps, too", async () => {
      const shard = await start("map~items.3", "0123456789abcdef.0.100.0.0.0");
      await expectList([shard]);
    });

    test("no records that runs share", async () => {
      await harness.store.update(`gate#${prefix}#key`, { guard: [], set: { v: 1, m: 1, t: 0, p: 0 } });
      await harness.store.update(`rate#key#${prefix}`, { guard: [], set: { v: 1 } });
      await expectList([]);
    });

    test("each of many, on several pages", { timeout: 120_000 }, async () => {
      const runIds: string[] = [];
      for (let at = 0; at < many; at += 50) {
        runIds.push(...(await Promise.all(Array.from({ length: 50 }, (_, index) => start(String(at + index))))));
      }
      await Promise.all(runIds.filter((_, index) => index % 10 === 0).map((id) => turn(id, "running", "succeeded")));
      await expectList(runIds.filter((_, index) => index % 10 !== 0));
    });

    test("a cursor stays good although its run has ended since", { timeout: 120_000 }, async () => {
      const runIds: string[] = [];
      for (let at = 0; at < many; at += 50) {
        runIds.push(...(await Promise.all(Array.from({ length: 50 }, (_, index) => start(String(at + index))))));
      }
      await expectList(runIds);
      const seen = new Set<string>();
      let cursor: string | undefined;
      do {
        const page = await harness.openRuns.page(cursor);
        for (const runId of page.runIds) seen.add(runId);
        const last = page.runIds.at(-1);
        if (last?.startsWith(prefix) === true) await turn(last, "running", "succeeded");
        cursor = page.cursor;
      } while (cursor !== undefined);
      expect([...seen].filter((runId) => runId.startsWith(prefix)).sort()).toEqual([...runIds].sort());
    });
  });
}
