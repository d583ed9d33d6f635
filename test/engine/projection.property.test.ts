// Hunts what lists and statistics would keep of a run that is gone, lose of one that is there, or count twice.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { shardFingerprint } from "../../lib/definition/shards.ts";
import { mapRunId, parentRunId } from "../../lib/engine/child.ts";
import { decodeRun, encodeRun } from "../../lib/engine/codec.ts";
import {
  countChanges,
  dayOf,
  durationAt,
  durationBucket,
  durationOf,
  type Entry,
  entryKey,
  isListed,
  listedParent,
  project,
} from "../../lib/engine/projection.ts";
import { isTerminal, type RunState } from "../../lib/engine/run-state.ts";
import { runState } from "./random-run.ts";
import { runOf } from "./sample-run.ts";

/** Of a workflow that a user may have defined. */
const listedRun: fc.Arbitrary<RunState> = fc
  .tuple(runState, fc.constantFrom("order", "import"), fc.option(fc.nat(8_000_000_000_000), { nil: undefined }))
  .map(([run, workflow, expiresAtMs]) => ({
    ...run,
    workflow,
    fingerprint: "0123456789abcdef",
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(run.error === undefined ? {} : { error: { ...run.error, fingerprint: "f" } }),
  }));

const link = {
  workflow: "order",
  fingerprint: "0123456789abcdef",
  step: 0,
  taskQueue: "default",
  epoch: 0,
  attempt: 1,
};
const shardLink = {
  ...link,
  fingerprint: shardFingerprint("0123456789abcdef", 0, { map: "lines", from: 0, count: 9, lanes: 0, tolerated: 0 }),
};

describe("a projection", () => {
  test("follows from what is stored of the run", () => {
    fc.assert(
      fc.property(listedRun, (run) => {
        const { expiresAtMs, ...rest } = run;
        const whole =
          expiresAtMs === undefined ? rest : { ...rest, expiresAtMs: Math.ceil(expiresAtMs / 1_000) * 1_000 };
        expect(project(decodeRun(run.runId, encodeRun(whole)))).toEqual(project(whole));
      }),
    );
  });

  test("of a run counts it in one status, in a duration once it has ended, and in one day of expiry", () => {
    fc.assert(
      fc.property(listedRun, (run) => {
        const { counts } = project(run);
        const names = counts.map(({ name }) => name);
        expect(names.filter((name) => name === run.status)).toHaveLength(1);
        const hasDuration = isTerminal(run.status) && run.endedAtMs !== undefined;
        expect(names.filter((name) => durationOf(name) !== undefined)).toHaveLength(hasDuration ? 1 : 0);
        expect(names.filter((name) => name === "expires")).toHaveLength(run.expiresAtMs === undefined ? 0 : 1);
        expect(new Set(names).size).toBe(names.length);
      }),
    );
  });

  test("has an entry for each tag, for the parent, and for the failure of a failed run alone", () => {
    fc.assert(
      fc.property(listedRun, (run) => {
        const { entries, failure } = project(run);
        const of = (kind: Entry["kind"]): Entry[] => entries.filter((entry) => entry.kind === kind);
        expect(of("tag")).toEqual(Object.entries(run.tags ?? {}).map(([key, value]) => ({ kind: "tag", key, value })));
        expect(of("parent")).toHaveLength(run.parent === undefined ? 0 : 1);
        const isFailure = run.status === "failed" && run.error !== undefined;
        expect([of("failure").length, failure !== undefined]).toEqual([isFailure ? 1 : 0, isFailure]);
      }),
    );
  });

  test("of what is in no list is empty", () => {
    const nothing = { entries: [], counts: [] };
    expect(project(undefined)).toEqual(nothing);
    fc.assert(
      fc.property(listedRun, (run) => {
        const shard = { ...run, fingerprint: shardLink.fingerprint };
        expect([isListed(run), isListed(shard)]).toEqual([true, false]);
        expect(project(shard)).toEqual(nothing);
      }),
    );
  });
});

describe("changes of counts", () => {
  const some = fc.option(listedRun, { nil: undefined });

  test("lead from what was counted to what is, along any way", () => {
    fc.assert(
      fc.property(fc.array(some, { minLength: 1, maxLength: 6 }), (states) => {
        const totals = new Map<string, number>();
        let before: RunState | undefined;
        for (const after of states) {
          for (const { day, workflow, name, by } of countChanges(project(before), project(after))) {
            const key = JSON.stringify([day, workflow, name]);
            totals.set(key, (totals.get(key) ?? 0) + by);
          }
          before = after;
        }
        const left = [...totals].filter(([, count]) => count !== 0);
        const expected = project(before).counts.map(({ day, workflow, name }) => [
          JSON.stringify([day, workflow, name]),
          1,
        ]);
        expect(Object.fromEntries(left)).toEqual(Object.fromEntries(expected));
      }),
    );
  });

  test("are none for the same run, and undo each other there and back", () => {
    fc.assert(
      fc.property(some, some, (one, other) => {
        expect(countChanges(project(one), project(one))).toEqual([]);
        const sum = [...countChanges(project(one), project(other)), ...countChanges(project(other), project(one))];
        expect(sum.reduce((all, { by }) => all + by, 0)).toBe(0);
        expect(sum.every(({ by }) => by !== 0)).toBe(true);
      }),
    );
  });
});

describe("keys of entries", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("a", "a#", "#", "1#a", "\ud83d", "\udc00", "\ufffd", '"'),
  );
  const entry: fc.Arbitrary<Entry> = fc.oneof(
    fc.record({ kind: fc.constant("tag" as const), key: text, value: text }),
    fc.record({ kind: fc.constant("parent" as const), runId: text }),
    fc.record({ kind: fc.constant("failure" as const), fingerprint: text }),
  );

  test("are the same for the same entry alone, also as UTF-8", () => {
    fc.assert(
      fc.property(entry, entry, (one, other) => {
        const [a, b] = [one, other].map((each) => Buffer.from(entryKey(each)).toString());
        expect(a === b).toBe(JSON.stringify(one) === JSON.stringify(other));
        expect(entryKey(one).isWellFormed()).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("the parent that users know", () => {
  test.each([
    ["a child", "r1~ship", link, { runId: "r1", step: "ship" }],
    ["a child of a child", "r1~ship~pack", link, { runId: "r1~ship", step: "pack" }],
    ["a child that was begun anew", "r1~ship.r2", link, { runId: "r1", step: "ship" }],
    ["an item of a small map", "r1~lines~3", shardLink, { runId: "r1", step: "lines" }],
    ["an item of a shard of a shard", "r1~lines.2.17~305", shardLink, { runId: "r1", step: "lines" }],
    ["an item of a map that was begun anew", "r1~lines.r1.4~70.r3", shardLink, { runId: "r1", step: "lines" }],
  ])("of %s", (_what, runId, parent, expected) => {
    expect(listedParent(runOf({ runId, parent }))).toEqual(expected);
    expect(project(runOf({ runId, parent })).entries).toEqual([{ kind: "parent", runId: expected.runId }]);
    expect([parentRunId(runId), mapRunId(parentRunId(runId))]).toContain(expected.runId);
  });

  test("of a run that a user has started is none", () => {
    expect(listedParent(runOf())).toBeUndefined();
  });
});

describe("durations", () => {
  const ms = fc.integer({ min: 0, max: 366 * 86_400_000 });

  test("a bucket's middle is within 9 % of all that are in it", () => {
    fc.assert(
      fc.property(ms, (tookMs) => {
        const middle = durationOf(durationBucket(tookMs)) ?? Number.NaN;
        expect(Math.abs(middle - tookMs)).toBeLessThanOrEqual(0.091 * (tookMs + 1));
      }),
    );
  });

  test("longer ones are never in a bucket before, and a clock that was set back is none", () => {
    fc.assert(
      fc.property(ms, ms, (one, other) => {
        const [a, b] = [durationOf(durationBucket(one)) ?? 0, durationOf(durationBucket(other)) ?? 0];
        expect(Math.sign(a - b) * Math.sign(one - other)).toBeGreaterThanOrEqual(0);
      }),
    );
    expect(durationBucket(-5_000)).toBe(durationBucket(0));
  });

  test("a part of them: half of 100 that took 1 s and one that took an hour", () => {
    const counts = { [durationBucket(1_000)]: 100, [durationBucket(3_600_000)]: 1, succeeded: 101, took1e3: 5 };
    expect(durationAt(0.5, counts)).toBe(durationAt(0.95, counts));
    expect(Math.abs((durationAt(0.5, counts) ?? 0) - 1_000)).toBeLessThanOrEqual(91);
    expect(Math.abs((durationAt(1, counts) ?? 0) - 3_600_000)).toBeLessThanOrEqual(330_000);
    expect(durationAt(0.5, { succeeded: 3 })).toBeUndefined();
    expect(durationAt(0.5, { [durationBucket(1)]: 0 })).toBeUndefined();
  });
});

test("a day is that of UTC, and every number has one", () => {
  expect(dayOf(Date.UTC(2026, 10, 21, 23, 59, 59, 999))).toBe("2026-11-21");
  expect([dayOf(-1), dayOf(9e15), dayOf(Number.MAX_VALUE)]).toEqual(["1970-01-01", "9999-12-31", "9999-12-31"]);
  fc.assert(
    fc.property(fc.double({ noNaN: true }), (timeMs) => {
      expect(dayOf(timeMs)).toMatch(/^\d{4}-\d\d-\d\d$/);
    }),
  );
});
