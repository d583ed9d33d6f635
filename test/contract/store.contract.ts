// Hunts a store whose conditional write is not atomic, not exact, or means something else than `applyTransition` (R1, R10).
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { bar, noRun } from "../../lib/engine/barred.ts";
import { create as createRun } from "../../lib/engine/start.ts";
import type { Fields, Transition } from "../../lib/engine/transition.ts";
import type { RunStore, WriteResult } from "../../lib/runtime/ports.ts";
import { runOf } from "../engine/sample-run.ts";

export interface StoreHarness {
  readonly store: RunStore;
  close(): Promise<void>;
}

/** JSON of so many bytes. */
function text(bytes: number): string {
  return `"${"x".repeat(bytes - 2)}"`;
}

/** Runs the suite on what `makeHarness` opens, once per test. Run ids are unique, so a shared table will do. */
export function storeContract(name: string, makeHarness: () => Promise<StoreHarness>): void {
  describe(`${name}: store contract`, () => {
    let harness: StoreHarness;
    let store: RunStore;
    let runId: string;

    beforeEach(async () => {
      harness = await makeHarness();
      store = harness.store;
      runId = `run-${crypto.randomUUID()}`;
    });
    afterEach(() => harness.close());

    const create = (fields: Fields): Promise<WriteResult> =>
      store.update(runId, { guard: [{ field: "status", is: "absent" }], set: fields });

    describe("update", () => {
      test("creates a run that is absent and returns it", async () => {
        expect(await create({ status: "running", n: 1 })).toMatchObject({
          applied: true,
          fields: { status: "running", n: 1 },
        });
        expect(await store.get(runId)).toEqual({ status: "running", n: 1 });
      });

      test("returns the whole run after the write, not only what was set", async () => {
        await create({ status: "running", kept: "yes" });
        const result = await store.update(runId, { guard: [], set: { added: 2 } });
        expect(result).toMatchObject({ applied: true });
        expect(result.fields).toEqual({ status: "running", kept: "yes", added: 2 });
      });

      test("a refused write returns the run as it is and changes nothing", async () => {
        await create({ status: "running", n: 1 });
        const refused = await store.update(runId, {
          guard: [{ field: "status", is: "equal", value: "paused" }],
          set: { status: "failed", extra: "x" },
          remove: ["n"],
          add: { count: 5 },
        });
        expect(refused.applied).toBe(false);
        expect(refused.fields).toEqual({ status: "running", n: 1 });
        expect(await store.get(runId)).toEqual({ status: "running", n: 1 });
      });

      test("a refused write on an absent run says that there is none, and creates none", async () => {
        const guard = [{ field: "status", is: "equal", value: "running" }] as const;
        expect(await store.update(runId, { guard, set: { a: 1 } })).toEqual({ applied: false, fields: undefined });
        expect(await store.get(runId)).toBeUndefined();
      });

      test("a second creation is refused and brings the first", async () => {
        await create({ status: "running", by: "first" });
        const second = await create({ status: "running", by: "second" });
        expect(second).toEqual({ applied: false, fields: { status: "running", by: "first" } });
      });

      test("removes fields, and an absent one without complaint", async () => {
        await create({ status: "running", a: 1, b: "x" });
        await store.update(runId, { guard: [], set: {}, remove: ["a", "neverThere"] });
        expect(await store.get(runId)).toEqual({ status: "running", b: "x" });
      });

      test("adds to a number, and to an absent field as if it were 0", async () => {
        await create({ status: "running", n: 40 });
        const result = await store.update(runId, { guard: [], set: {}, add: { n: 2, fresh: 3, down: -1 } });
        expect(result.fields).toEqual({ status: "running", n: 42, fresh: 3, down: -1 });
      });

      test("sets, removes and adds in one write", async () => {
        await create({ status: "running", old: "x", n: 1 });
        await store.update(runId, { guard: [], set: { status: "paused", fresh: 0 }, remove: ["old"], add: { n: 1 } });
        expect(await store.get(runId)).toEqual({ status: "paused", fresh: 0, n: 2 });
      });

      test.each([
        ["0", 0],
        ["a negative number", -17],
        ["a fraction", 0.1],
        ["a time in ms", 1_700_000_000_123],
        ["empty text", ""],
        ["text that looks like a number", "007"],
        ["unicode", "Grüße, 世界, 👩‍👩‍👧, \u0000 and \u2028"],
        ["quotes and backslashes", `"'\\; DROP TABLE run; --`],
        ["long text", "x".repeat(2_000)],
      ])("%s survives", async (_what, value) => {
        await create({ status: "running", value });
        expect((await store.get(runId))?.value).toBe(value);
      });

      test("field names may be anything", async () => {
        const fields: Fields = { status: "running", "s.0": "a", "with space": "b", ü: 1, "#name": "c", ":value": "d" };
        await create(fields);
        await store.update(runId, {
          guard: Object.entries(fields).map(([field, value]) => ({ field, is: "equal", value })),
          set: {},
        });
        expect(await store.get(runId)).toEqual(fields);
      });

      test("what a caller does to its own objects later changes nothing stored", async () => {
        const set: Record<string, string | number> = { status: "running" };
        await store.update(runId, { guard: [], set });
        set.status = "failed";
        expect(await store.get(runId)).toEqual({ status: "running" });
      });
    });

    describe("guard", () => {
      const base: Fields = { status: "running", n: 0, empty: "" };
      test.each<[string, boolean, Transition["guard"]]>([
        ["no condition", true, []],
        ["absent: is", true, [{ field: "other", is: "absent" }]],
        ["absent: is not", false, [{ field: "status", is: "absent" }]],
        ["absent: 0 is there", false, [{ field: "n", is: "absent" }]],
        ["absent: empty text is there", false, [{ field: "empty", is: "absent" }]],
        ["equal: same text", true, [{ field: "status", is: "equal", value: "running" }]],
        ["equal: other text", false, [{ field: "status", is: "equal", value: "runnin" }]],
        ["equal: 0", true, [{ field: "n", is: "equal", value: 0 }]],
        ["equal: empty text", true, [{ field: "empty", is: "equal", value: "" }]],
        ["equal: a number is not its text", false, [{ field: "n", is: "equal", value: "0" }]],
        ["equal: an absent field is not empty text", false, [{ field: "other", is: "equal", value: "" }]],
        ["oneOf: among them", true, [{ field: "status", is: "oneOf", values: ["paused", "running"] }]],
        ["oneOf: not among them", false, [{ field: "status", is: "oneOf", values: ["paused", "failed"] }]],
        ["oneOf: absent", false, [{ field: "other", is: "oneOf", values: ["", 0] }]],
        ["oneOf: 0", true, [{ field: "n", is: "oneOf", values: [1, 0] }]],
        ["below: less", true, [{ field: "n", is: "below", value: 1 }]],
        ["below: as much", false, [{ field: "n", is: "below", value: 0 }]],
        ["below: absent", true, [{ field: "other", is: "below", value: 0 }]],
        ["below: text is no number", false, [{ field: "status", is: "below", value: 1 }]],
        [
          "all hold",
          true,
          [
            { field: "status", is: "equal", value: "running" },
            { field: "other", is: "absent" },
          ],
        ],
        [
          "one of two does not",
          false,
          [
            { field: "status", is: "equal", value: "running" },
            { field: "n", is: "absent" },
          ],
        ],
      ])("%s: %s", async (_what, applied, guard) => {
        await create(base);
        const result = await store.update(runId, { guard, set: { touched: 1 } });
        expect(result).toEqual({ applied, fields: applied ? { ...base, touched: 1 } : base });
      });
    });

    describe("concurrency", () => {
      test("of 50 conditional writes on one run, one wins", async () => {
        await create({ status: "running" });
        const results = await Promise.all(
          Array.from({ length: 50 }, (_, owner) =>
            store.update(runId, { guard: [{ field: "owner", is: "absent" }], set: { owner } }),
          ),
        );
        const winners = results.flatMap((result, owner) => (result.applied ? [owner] : []));
        expect(winners).toHaveLength(1);
        expect(await store.get(runId)).toEqual({ status: "running", owner: winners[0] });
        for (const result of results) expect(result.fields?.owner).toBe(winners[0]);
      });

      test("of 50 creations of one run, one wins", async () => {
        const results = await Promise.all(Array.from({ length: 50 }, (_, by) => create({ status: "running", by })));
        expect(results.filter(({ applied }) => applied)).toHaveLength(1);
      });

      test("50 additions all count, and exactly one of them sees the last number", async () => {
        await create({ status: "running" });
        const results = await Promise.all(
          Array.from({ length: 50 }, () => store.update(runId, { guard: [], set: {}, add: { n: 1 } })),
        );
        const seen = results.map(({ fields }) => fields?.n).sort((a, b) => Number(a) - Number(b));
        expect(seen).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
      });

      test("writes to different runs do not meet", async () => {
        const ids = Array.from({ length: 20 }, (_, n) => `${runId}-${n}`);
        await Promise.all(ids.map((id, n) => store.update(id, { guard: [], set: { n } })));
        expect(await Promise.all(ids.map((id) => store.get(id)))).toEqual(ids.map((_, n) => ({ n })));
      });
    });

    describe("get and load", () => {
      test("an absent run is undefined", async () => {
        expect(await store.get(runId)).toBeUndefined();
        expect(await store.load(runId)).toBeUndefined();
      });

      test("a read sees what was acknowledged before it", async () => {
        for (let n = 0; n < 10; n += 1) {
          await store.update(runId, { guard: [], set: { n } });
          expect(await store.get(runId)).toEqual({ n });
        }
      });

      test("load brings the run and its payloads, and none of another run's", async () => {
        await create({ status: "running" });
        await store.putPayload(runId, "in", `{"a":1}`);
        await store.putPayload(runId, "out#0", "null");
        await store.putPayload(`${runId}x`, "out#1", "1");
        const loaded = await store.load(runId);
        expect(loaded?.fields).toEqual({ status: "running" });
        expect(new Map(loaded?.payloads)).toEqual(
          new Map([
            ["in", `{"a":1}`],
            ["out#0", "null"],
          ]),
        );
        expect(loaded?.larger.size).toBe(0);
      });

      test("load tells the size of a payload that is too large to show, in bytes, and does not bring it", async () => {
        const most = limits.shownPayloadBytes;
        const sizes = {
          shown: most,
          above: most + 1,
          large: 300 * 1024,
          huge: 3 * 1024 * 1024,
        };
        await create({ status: "running" });
        for (const [key, bytes] of Object.entries(sizes)) await store.putPayload(runId, key, text(bytes));
        await store.putPayload(runId, "wide", `"${"é".repeat(most / 2)}"`);
        const loaded = await store.load(runId);
        expect([...(loaded?.payloads.keys() ?? [])]).toEqual(["shown"]);
        expect(loaded?.payloads.get("shown") === text(most)).toBe(true);
        const { shown: _shown, ...above } = sizes;
        expect(new Map(loaded?.larger)).toEqual(new Map(Object.entries({ ...above, wide: most + 2 })));
      });

      test("a run without payloads loads with none", async () => {
        await create({ status: "running" });
        expect((await store.load(runId))?.payloads.size).toBe(0);
      });

      test("payloads without a run are no run", async () => {
        await store.putPayload(runId, "in", "1");
        expect(await store.load(runId)).toBeUndefined();
      });
    });

    describe("payloads", () => {
      test("keys that do not exist are missing from the answer", async () => {
        await store.putPayload(runId, "a", "1");
        expect(new Map(await store.getPayloads(runId, ["a", "b"]))).toEqual(new Map([["a", "1"]]));
        expect((await store.getPayloads(runId, [])).size).toBe(0);
        expect((await store.getPayloads("never-there", ["a"])).size).toBe(0);
      });

      test("are written once: a second content changes nothing", async () => {
        await store.putPayload(runId, "a", `"first"`);
        await store.putPayload(runId, "a", `"second"`);
        expect((await store.getPayloads(runId, ["a"])).get("a")).toBe(`"first"`);
      });

      test("20 writers of one key leave one content, and it stays", async () => {
        await Promise.all(Array.from({ length: 20 }, (_, n) => store.putPayload(runId, "a", String(n))));
        const first = (await store.getPayloads(runId, ["a"])).get("a");
        await store.putPayload(runId, "a", "late");
        expect(first).toMatch(/^\d+$/);
        expect((await store.getPayloads(runId, ["a"])).get("a")).toBe(first);
      });

      test("300 KB survive, unicode included", async () => {
        const json = JSON.stringify({ text: "ö世👍".repeat(30_000), tail: "end" });
        expect(Buffer.byteLength(json)).toBeGreaterThan(250_000);
        await create({ status: "running" });
        await store.putPayload(runId, "big", json);
        expect((await store.getPayloads(runId, ["big"])).get("big") === json).toBe(true);
        expect((await store.load(runId))?.larger.get("big")).toBe(Buffer.byteLength(json));
      });

      test("the largest payload survives", async () => {
        const json = text(limits.payloadBytes);
        await store.putPayload(runId, "largest", json);
        await store.putPayload(runId, "largest", json);
        expect((await store.getPayloads(runId, ["largest"])).get("largest") === json).toBe(true);
      });

      test("100 keys in one question", async () => {
        const keys = Array.from({ length: 100 }, (_, n) => `out#${n}`);
        await Promise.all(keys.map((key, n) => store.putPayload(runId, key, String(n))));
        const found = await store.getPayloads(runId, keys);
        expect(keys.map((key) => found.get(key))).toEqual(keys.map((_, n) => String(n)));
      });
    });

    describe("remove", () => {
      const isFailed = [{ field: "status", is: "equal", value: "failed" }] as const;

      test("deletes the run and all that is stored beside it, however large", async () => {
        await create({ status: "failed", n: 1 });
        await store.putPayload(runId, "in", "1");
        await store.putPayload(runId, "large", text(200 * 1024));
        await store.putPayload(runId, "huge", text(1024 * 1024));
        expect(await store.remove(runId, isFailed)).toBe(true);
        expect(await store.get(runId)).toBeUndefined();
        expect(await store.load(runId)).toBeUndefined();
        expect((await store.getPayloads(runId, ["in", "large", "huge"])).size).toBe(0);
      });

      test("deletes hundreds of payloads, and none of another run's", async () => {
        const keys = Array.from({ length: 120 }, (_, n) => `out#${n}`);
        await create({ status: "failed" });
        await store.update(`${runId}x`, { guard: [], set: { n: 1 } });
        await Promise.all(keys.map((key) => store.putPayload(runId, key, "1")));
        await store.putPayload(`${runId}x`, "in", "2");
        expect(await store.remove(runId, isFailed)).toBe(true);
        expect((await store.getPayloads(runId, keys.slice(0, 100))).size).toBe(0);
        expect((await store.getPayloads(runId, keys.slice(100))).size).toBe(0);
        expect(await store.get(`${runId}x`)).toEqual({ n: 1 });
        expect((await store.getPayloads(`${runId}x`, ["in"])).get("in")).toBe("2");
      });

      test("a refused one deletes nothing", async () => {
        await create({ status: "running", n: 1 });
        await store.putPayload(runId, "in", "1");
        expect(await store.remove(runId, isFailed)).toBe(false);
        expect(await store.get(runId)).toEqual({ status: "running", n: 1 });
        expect((await store.getPayloads(runId, ["in"])).get("in")).toBe("1");
      });

      test("of a run that is not there it is refused, whatever its conditions", async () => {
        expect(await store.remove(runId, isFailed)).toBe(false);
        expect(await store.remove(runId, [])).toBe(false);
        expect(await store.remove(runId, [{ field: "status", is: "absent" }])).toBe(false);
      });

      test("of 20 removals and 20 changes of one run, either one removal wins or the changes keep it", async () => {
        await create({ status: "failed", n: 0 });
        const results = await Promise.all(
          Array.from({ length: 40 }, async (_, n) => {
            if (n % 2 === 0) return (await store.remove(runId, isFailed)) ? "removed" : "refused";
            const change: Transition = { guard: isFailed, set: { status: "running" } };
            return (await store.update(runId, change)).applied ? "changed" : "refused";
          }),
        );
        const won = results.filter((result) => result !== "refused");
        expect(won).toHaveLength(1);
        const left = await store.get(runId);
        expect(left).toEqual(won[0] === "removed" ? undefined : { status: "running", n: 0 });
      });

      test("what is beside a run that is gone is deleted by itself, again and again", async () => {
        await store.putPayload(runId, "in", "1");
        await store.putPayload(runId, "huge", text(1024 * 1024));
        await store.removeRest(runId);
        await store.removeRest(runId);
        expect((await store.getPayloads(runId, ["in", "huge"])).size).toBe(0);
      });

      test("what is beside a run that is there stays", async () => {
        await create({ status: "running" });
        await store.putPayload(runId, "in", "1");
        await store.putPayload(runId, "huge", text(1024 * 1024));
        await store.removeRest(runId);
        const found = await store.getPayloads(runId, ["in", "huge"]);
        expect(found.get("in")).toBe("1");
        expect(found.get("huge") === text(1024 * 1024)).toBe(true);
      });

      test("the same id can be used again", async () => {
        await create({ status: "failed", n: 1 });
        await store.putPayload(runId, "out#0", "1");
        await store.remove(runId, isFailed);
        await store.removeRest(runId);
        expect(await create({ status: "running", n: 2 })).toMatchObject({ applied: true, fields: { n: 2 } });
        await store.putPayload(runId, "out#0", "2");
        expect((await store.getPayloads(runId, ["out#0"])).get("out#0")).toBe("2");
      });
    });

    describe("an id that is barred", () => {
      const parent = { workflow: "top", fingerprint: "abc", step: 0, taskQueue: "default", attempt: 1 };
      const child = (epoch: number): Transition => createRun(runOf({ runId, parent: { ...parent, epoch } }));

      test("has no run: nothing is read, loaded or changed there", async () => {
        expect((await store.update(runId, bar(2))).applied).toBe(true);
        expect(await store.get(runId)).toBeUndefined();
        expect(await store.load(runId)).toBeUndefined();
        const guard = [{ field: "st", is: "equal", value: "running" }] as const;
        expect(await store.update(runId, { guard, set: { a: 1 } })).toEqual({ applied: false, fields: undefined });
      });

      test("gets none from an epoch of the parent that is not newer", async () => {
        await store.update(runId, bar(2));
        for (const epoch of [1, 2]) {
          expect(await store.update(runId, child(epoch))).toEqual({ applied: false, fields: undefined });
        }
        expect(await store.get(runId)).toBeUndefined();
        expect((await store.update(runId, child(3))).applied).toBe(true);
        // Of what barred it nothing is left.
        expect(await store.get(runId)).toEqual(child(3).set);
      });

      test("is barred once more for a later epoch, and never for an earlier one", async () => {
        await store.update(runId, bar(2));
        expect((await store.update(runId, bar(2))).applied).toBe(false);
        expect((await store.update(runId, bar(1))).applied).toBe(false);
        expect((await store.update(runId, bar(3))).applied).toBe(true);
        expect((await store.update(runId, child(3))).applied).toBe(false);
      });

      test("is not that of a run: one that is there is neither hidden nor changed", async () => {
        await store.update(runId, child(0));
        expect(await store.update(runId, bar(5))).toEqual({ applied: false, fields: child(0).set });
        expect(await store.get(runId)).toEqual(child(0).set);
      });

      test("is as if it had never been used once that is removed, and its removal is nobody's to finish", async () => {
        await store.update(runId, bar(2));
        await store.remove(runId, [noRun]);
        expect((await store.update(runId, child(0))).applied).toBe(true);
        // Of a run that is there, a removal is refused.
        expect(await store.remove(runId, [noRun])).toBe(false);
        expect(await store.get(runId)).toEqual(child(0).set);
      });
    });

    describe("graphs", () => {
      test("are found by workflow and fingerprint, and only by both", async () => {
        const workflow = `order-${runId}`;
        await store.putGraph(workflow, "f1", `{"v":1}`);
        expect(await store.getGraph(workflow, "f1")).toBe(`{"v":1}`);
        expect(await store.getGraph(workflow, "f2")).toBeUndefined();
        expect(await store.getGraph(`${workflow}x`, "f1")).toBeUndefined();
      });

      test("are written once", async () => {
        await store.putGraph(runId, "f1", `"first"`);
        await store.putGraph(runId, "f1", `"second"`);
        expect(await store.getGraph(runId, "f1")).toBe(`"first"`);
      });
    });
  });
}
