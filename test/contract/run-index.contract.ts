// Hunts a list that misses a run, repeats one, or is not in its order; counts and failures that drift from the runs (R10).
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { encodeRun, field } from "../../lib/engine/codec.ts";
import { durationBucket } from "../../lib/engine/projection.ts";
import { type RunState, type RunStatus, runStatuses } from "../../lib/engine/run-state.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import type { FailureGroup, RunFilter, RunIndex } from "../../lib/runtime/run-index.ts";
import { runOf } from "../engine/sample-run.ts";

export interface RunIndexHarness {
  readonly store: RunStore;
  readonly runIndex: RunIndex;
  /** Removes a run as its retention does; absent where nothing can yet. */
  remove?(runId: string): Promise<void>;
  /** Resolves when the index has caught up with every write that was answered before. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export interface RunIndexOptions {
  /** Random histories that are tried. */
  readonly histories?: number;
}

/** Runs the suite on what `makeHarness` opens: an empty store each time. */
export function runIndexContract(
  name: string,
  makeHarness: () => Promise<RunIndexHarness>,
  { histories = 40 }: RunIndexOptions = {},
): void {
  describe(`${name}: run index contract`, () => {
    let harness: RunIndexHarness;
    let world: World;

    beforeEach(async () => {
      harness = await makeHarness();
      world = new World(harness);
    });
    afterEach(() => harness.close());

    test("nothing, when there is nothing", async () => {
      await harness.settled();
      expect(await harness.runIndex.list({ filter: {}, limit: 10 })).toEqual({ runs: [] });
      expect(await harness.runIndex.counts(allDays)).toEqual([]);
      expect(await harness.runIndex.failures()).toEqual([]);
      expect(await harness.runIndex.extent()).not.toHaveProperty("oldestDay");
    });

    test("any history: lists, counts and failures are what the runs say", { timeout: 300_000 }, async () => {
      await fc.assert(
        fc.asyncProperty(history, fc.array(filterSeed, { minLength: 12, maxLength: 12 }), async (actions, seeds) => {
          const own = await makeHarness();
          try {
            const there = new World(own);
            for (const action of actions) await there.act(action);
            await own.settled();
            await there.expectCounts();
            await there.expectFailures();
            await there.expectExtent();
            for (const fingerprint of ["f1", "f2", "f3"]) await there.expectList({ fingerprint }, 4);
            for (const { limit, ...seed } of seeds) await there.expectList(there.filter(seed), limit);
          } finally {
            await own.close();
          }
        }),
        { numRuns: histories },
      );
    });

    test("every combination of criteria", { timeout: 120_000 }, async () => {
      const parent = await world.start({ workflow: "orders", tags: { team: "a" } });
      for (let at = 0; at < 48; at += 1) {
        const run = await world.start({
          workflow: at % 2 === 0 ? "orders" : "mails",
          createdAtMs: t0 + Math.floor(at / 4) * 1_000,
          tags: at % 3 === 0 ? { team: "a" } : { team: "b" },
          ...(at % 4 < 2 ? { child: { of: parent, step: `s${at}` } } : {}),
        });
        if (at % 5 > 1) await world.turn(run, "failed", { fingerprint: at % 5 === 2 ? "f1" : "f2" });
      }
      await harness.settled();
      const choices: { [Name in keyof RunFilter]-?: RunFilter[Name] } = {
        workflow: "orders",
        statuses: ["failed", "running"],
        fromMs: t0 + 2_000,
        toMs: t0 + 9_000,
        tag: { key: "team", value: "a" },
        parent,
        fingerprint: "f1",
      };
      const names = Object.keys(choices) as (keyof RunFilter)[];
      let found = 0;
      for (let bits = 0; bits < 2 ** names.length; bits += 1) {
        const chosen = names.filter((_, at) => (bits & (1 << at)) !== 0);
        const filter: RunFilter = Object.fromEntries(chosen.map((one) => [one, choices[one]]));
        found += await world.expectList(filter, 3);
      }
      expect(found).toBeGreaterThan(200);
    });

    test("runs of the same millisecond are told apart by their ids, on however small pages", async () => {
      for (let at = 0; at < 30; at += 1) await world.start({ createdAtMs: t0 });
      await harness.settled();
      for (const limit of [1, 7, 29, 30, 31]) await world.expectList({}, limit);
      for (const limit of [1, 7]) await world.expectList({ statuses: ["running", "failed"] }, limit);
    });

    test("turning pages while runs are started and end: what stays is told once, in order", async () => {
      const there: string[] = [];
      for (let at = 0; at < 40; at += 1) there.push(await world.start({ createdAtMs: t0 + Math.floor(at / 3) * 10 }));
      await harness.settled();
      for (const filter of [{}, { workflow: "orders" }, { tag: { key: "all", value: "runs" } }]) {
        const seen: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await harness.runIndex.list({ filter, limit: 3, ...(cursor === undefined ? {} : { cursor }) });
          seen.push(...page.runs.map(({ runId }) => runId));
          ({ cursor } = page);
          await world.start({ createdAtMs: t0 + 1_000 });
          await world.start({ createdAtMs: t0 + 60 });
          await harness.settled();
        } while (cursor !== undefined);
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen.filter((runId) => there.includes(runId)).sort()).toEqual([...there].sort());
        expect(seen).toEqual(world.found({}).filter((runId) => seen.includes(runId)));
      }
    });

    test("the page that has the last run says that there are no more", async () => {
      for (let at = 0; at < 6; at += 1) await world.start({ createdAtMs: t0 + at });
      await harness.settled();
      const first = await harness.runIndex.list({ filter: {}, limit: 6 });
      expect(first.runs).toHaveLength(6);
      // A store that cannot know names one more, empty, page.
      if (first.cursor === undefined) return;
      expect(await harness.runIndex.list({ filter: {}, limit: 6, cursor: first.cursor })).toEqual({ runs: [] });
    });

    test("rare matches among many entries: short pages with a cursor, until all are found", {
      timeout: 120_000,
    }, async () => {
      const many = limits.listReads + 100;
      const runIds = await Promise.all(Array.from({ length: many }, (_, at) => world.start({ createdAtMs: t0 + at })));
      for (const at of [0, 1, many - 1]) await world.turn(runIds[at] as string, "failed", { fingerprint: "rare" });
      await harness.settled();
      const filter: RunFilter = { tag: { key: "all", value: "runs" }, statuses: ["failed"] };
      const first = await harness.runIndex.list({ filter, limit: 3 });
      expect(first.cursor).toBeDefined();
      expect(first.runs.length).toBeLessThan(3);
      await world.expectList(filter, 3);
      await world.expectList({ tag: { key: "all", value: "runs" } }, limits.listedRuns);
    });

    test.each(hostileTags)("tag %j", async (key, value) => {
      const tagged = await world.start({ tags: { [key]: value } });
      for (const [otherKey, otherValue] of hostileTags) {
        if (otherKey !== key || otherValue !== value) await world.start({ tags: { [otherKey]: otherValue } });
      }
      await harness.settled();
      const { runs } = await harness.runIndex.list({ filter: { tag: { key, value } }, limit: 10 });
      expect(runs.map(({ runId }) => runId)).toEqual([tagged]);
    });

    test("parts of maps and records that runs share are in no list and no count; the runs of a map's items are", async () => {
      const parent = await world.start({});
      const shard = runOf({ runId: `${parent}~map`, fingerprint: "0123456789abcdef.0.0.20.0.0", createdAtMs: t0 });
      await harness.store.update(shard.runId, { guard: [], set: encodeRun(shard) });
      await harness.store.update(`gate#${parent}`, { guard: [], set: { v: 1, m: 1, t: 0, p: 0 } });
      const item = await world.start({ child: { of: parent, step: "map.1", item: "17" } });
      await harness.settled();
      expect(item).toBe(`${parent}~map.1~17`);
      expect(await world.expectList({ parent }, 10)).toBe(1);
      expect(await world.expectList({}, 10)).toBe(2);
      expect(await world.expectList({ parent: shard.runId }, 10)).toBe(0);
      await world.expectCounts();
    });

    test("many changes at the same time: no count is lost", { timeout: 60_000 }, async () => {
      const runIds = await Promise.all(Array.from({ length: 100 }, (_, at) => world.start({ createdAtMs: t0 + at })));
      await Promise.all(
        runIds.map((runId, at) => world.turn(runId, at % 3 === 0 ? "failed" : "succeeded", { fingerprint: "f" })),
      );
      await Promise.all(runIds.filter((_, at) => at % 6 === 0).map((runId) => world.turn(runId, "running")));
      await harness.settled();
      await world.expectCounts();
      await world.expectFailures();
      await world.expectList({ statuses: ["failed"] }, 40);
    });

    test("counts of the days that are asked for, both included", async () => {
      for (const day of [0, 1, 2, 3]) await world.start({ createdAtMs: Date.UTC(2026, 10, 20 + day) });
      await world.start({ createdAtMs: Date.UTC(2026, 10, 23) - 1 });
      await harness.settled();
      const rows = await harness.runIndex.counts({ from: "2026-11-21", to: "2026-11-22" });
      expect(rows.map(({ day, counts }) => [day, counts.running]).sort()).toEqual([
        ["2026-11-21", 1],
        ["2026-11-22", 2],
      ]);
    });

    test("a group of failures tells how many are failed now, and of the first and the last of them", async () => {
      const [a, b, c] = [await world.start({}), await world.start({}), await world.start({})];
      await world.turn(a, "failed", { fingerprint: "f", message: "first", endedAtMs: t0 + 1_000 });
      await harness.settled();
      await world.turn(b, "failed", { fingerprint: "f", message: "last", endedAtMs: t0 + 3_000 });
      await world.turn(c, "failed", { fingerprint: "f", message: "between", endedAtMs: t0 + 2_000 });
      await harness.settled();
      const group = { workflow: "orders", step: "charge", name: "Refused", fingerprint: "f", firstAtMs: t0 + 1_000 };
      const last = { runId: b, message: "last", atMs: t0 + 3_000 };
      expect(await harness.runIndex.failures()).toEqual([{ ...group, ...last, count: 3 }]);
      await world.turn(a, "running");
      await harness.settled();
      expect(await harness.runIndex.failures()).toEqual([{ ...group, ...last, count: 2 }]);
      await world.turn(b, "running");
      await world.turn(c, "running");
      await harness.settled();
      expect(await harness.runIndex.failures()).toEqual([]);
    });

    test("a run that goes on again leaves the list of its failures, and keeps its tags", async () => {
      const runIds = [await world.start({}), await world.start({})];
      const filter = { fingerprint: "f1" };
      for (const runId of runIds) await world.turn(runId, "failed", filter);
      await harness.settled();
      expect(await world.expectList(filter, 1)).toBe(2);
      await world.turn(runIds[0] as string, "running");
      await harness.settled();
      expect(await world.expectList(filter, 1)).toBe(1);
      await world.turn(runIds[0] as string, "failed", { fingerprint: "f2" });
      await harness.settled();
      expect(await world.expectList(filter, 1)).toBe(1);
      expect(await world.expectList({ tag: { key: "all", value: "runs" }, fingerprint: "f2" }, 1)).toBe(1);
      expect(await world.expectList({ tag: { key: "all", value: "runs" } }, 1)).toBe(2);
    });

    test("a failure without a fingerprint is in no group, and a run that was cancelled in none either", async () => {
      await world.turn(await world.start({}), "failed");
      await world.turn(await world.start({}), "cancelled", { fingerprint: "f" });
      await harness.settled();
      expect(await harness.runIndex.failures()).toEqual([]);
    });

    test.each([
      ["another workflow", { workflow: "orders" }, { workflow: "mails" }],
      ["another status", { statuses: ["running"] }, { statuses: ["running", "failed"] }],
      ["another time", { fromMs: t0 - 1 }, { fromMs: t0 - 2 }],
      ["another end", { toMs: t0 + 100 }, { toMs: t0 + 101 }],
      ["another tag", { tag: { key: "all", value: "runs" } }, { tag: { key: "all", value: "run" } }],
      ["a criterion more", { workflow: "orders" }, { workflow: "orders", tag: { key: "all", value: "runs" } }],
      ["no criteria", { workflow: "orders" }, {}],
    ] satisfies [string, RunFilter, RunFilter][])(
      "a cursor is refused for a list of %s",
      async (_what, filter, other) => {
        for (let at = 0; at < 3; at += 1) await world.start({ createdAtMs: t0 + at });
        await harness.settled();
        const { cursor = "" } = await harness.runIndex.list({ filter, limit: 1 });
        expect(cursor).not.toBe("");
        await expect(harness.runIndex.list({ filter: other, limit: 1, cursor })).rejects.toMatchObject({
          name: "PawlError",
          code: "invalid_request",
          message: expect.stringMatching(/cursor is .*Ask for the next page with the same query/) as string,
        });
      },
    );

    test("a cursor is good for the same statuses in another order", async () => {
      for (let at = 0; at < 3; at += 1) await world.start({ createdAtMs: t0 + at });
      await harness.settled();
      const { cursor = "" } = await harness.runIndex.list({ filter: { statuses: ["running", "failed"] }, limit: 1 });
      const next = await harness.runIndex.list({ filter: { statuses: ["failed", "running"] }, limit: 1, cursor });
      expect(next.runs).toHaveLength(1);
    });

    test("what is no cursor is refused, and what to do is said", async () => {
      await world.start({});
      await world.start({});
      await harness.settled();
      const { cursor = "" } = await harness.runIndex.list({ filter: {}, limit: 1 });
      const junk = fc.oneof(
        fc.string(),
        fc.nat(cursor.length - 1).map((length) => cursor.slice(0, length)),
        fc.json().map((json) => Buffer.from(json).toString("base64url")),
        fc.constantFrom("", "null", "[]", Buffer.from('[1e999,"a","b"]').toString("base64url")),
      );
      await fc.assert(
        fc.asyncProperty(junk, async (text) => {
          await expect(harness.runIndex.list({ filter: {}, limit: 1, cursor: text })).rejects.toMatchObject({
            name: "PawlError",
            code: "invalid_request",
            message: expect.stringMatching(/cursor is .*(cursor of the page before|begin anew)/s) as string,
          });
        }),
        { numRuns: 100 },
      );
    });
  });
}

/** Just before midnight, so that the runs of a test are of two days. */
const t0 = Date.UTC(2026, 10, 21, 23, 59, 59);
const allDays = { from: "2000-01-01", to: "2100-01-01" };

/** Texts that keys are put together of, take apart, compare or escape. */
const hostileTags: readonly (readonly [string, string])[] = [
  ["a", "b#c"],
  ["a#b", "c"],
  ["1#a", "b"],
  ["__proto__", "constructor"],
  ["a", "B"],
  ["a", "b"],
  ["a", "b "],
  ["%", "_"],
  ["'", '"; DROP TABLE run; --'],
  ["nul", "a\0b"],
  ["nul", "a"],
  ["é", "composed"],
  ["e\u0301", "composed"],
  ["pair", "\u{1f600}"],
  ["half", "\ud83d"],
  ["half", "\udc00"],
  ["half", "\ufffd"],
  ["long", "x".repeat(limits.tagLength)],
  ["long", "x".repeat(limits.tagLength - 1)],
];

const workflows = ["orders", "mails", "pawl-bulk"] as const;

interface StartSeed {
  readonly workflow?: string;
  readonly createdAtMs?: number;
  readonly tags?: Readonly<Record<string, string>>;
  /** `item`: the step is that of a shard. */
  readonly child?: { readonly of: string; readonly step: string; readonly item?: string };
}

interface TurnSeed {
  readonly fingerprint?: string;
  readonly message?: string;
  readonly endedAtMs?: number;
}

type Action =
  | {
      readonly kind: "start";
      readonly workflow: number;
      readonly atMs: number;
      readonly tag: number;
      readonly under: number;
      readonly isItem: boolean;
    }
  | {
      readonly kind: "turn";
      readonly run: number;
      readonly to: RunStatus;
      readonly tookMs: number;
      readonly fingerprint: number;
    }
  | { readonly kind: "touch" | "remove"; readonly run: number }
  /** What is read between two changes: an index may catch up then. */
  | { readonly kind: "look" };

const history: fc.Arbitrary<readonly Action[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("start" as const),
        workflow: fc.nat(workflows.length - 1),
        // Few times, so that many runs share one.
        atMs: fc.oneof(fc.nat(4), fc.constantFrom(-86_400_000, -1, 999, 1_000, 86_400_000)),
        tag: fc.nat(hostileTags.length),
        under: fc.nat(20),
        isItem: fc.boolean(),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("turn" as const),
        run: fc.nat(30),
        to: fc.constantFrom(...runStatuses, "failed" as const, "failed" as const),
        tookMs: fc.constantFrom(0, 1, 7, 1_000, 86_400_000),
        fingerprint: fc.nat(3),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constantFrom("touch" as const, "remove" as const), run: fc.nat(30) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("look" as const) }) },
  ),
  { minLength: 5, maxLength: 60 },
);

interface FilterSeed {
  readonly workflow: string | undefined;
  readonly statuses: readonly RunStatus[] | undefined;
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  readonly tag: number | undefined;
  readonly parent: number | undefined;
  readonly fingerprint: string | undefined;
}

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 1 });
const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const filterSeed: fc.Arbitrary<FilterSeed & { readonly limit: number }> = fc.record({
  limit: fc.integer({ min: 1, max: 6 }),
  workflow: maybe(fc.constantFrom(...workflows, "none")),
  statuses: maybe(fc.uniqueArray(fc.constantFrom(...runStatuses), { minLength: 1 })),
  fromMs: rarely(fc.nat(6).map((ms) => t0 + ms - 1)),
  toMs: rarely(fc.oneof(fc.nat(1_002), fc.nat(6)).map((ms) => t0 + ms)),
  tag: rarely(fc.nat(hostileTags.length - 1)),
  parent: rarely(fc.nat(20)),
  fingerprint: rarely(fc.constantFrom("f1", "f2")),
});

/** What is known of one run: plain, and told apart from what the index computes. */
interface Known {
  readonly run: RunState;
  readonly parent?: string;
}

/** Acts on the store, and keeps a model of what should be found in it. */
class World {
  readonly #harness: RunIndexHarness;
  readonly #known = new Map<string, Known>();
  #started = 0;

  constructor(harness: RunIndexHarness) {
    this.#harness = harness;
  }

  async act(action: Action): Promise<void> {
    const ids = [...this.#known.keys()];
    switch (action.kind) {
      case "start": {
        const { workflow, atMs, tag, under, isItem } = action;
        const [key, value] = hostileTags[tag] ?? [];
        const of = ids[under];
        const child =
          of === undefined || of.includes("~")
            ? undefined
            : { of, step: isItem ? `map.${under}` : `s${this.#started}` };
        await this.start({
          workflow: workflows[workflow] as string,
          createdAtMs: t0 + atMs,
          ...(key === undefined || value === undefined ? {} : { tags: { [key]: value, all: "runs" } }),
          ...(child === undefined ? {} : { child: { ...child, ...(isItem ? { item: String(this.#started) } : {}) } }),
        });
        break;
      }
      case "turn": {
        const runId = ids[action.run];
        if (runId === undefined) return;
        const { to, tookMs, fingerprint } = action;
        const endedAtMs = this.#run(runId).createdAtMs + tookMs;
        await this.turn(runId, to, { endedAtMs, ...(fingerprint === 0 ? {} : { fingerprint: `f${fingerprint}` }) });
        break;
      }
      case "touch": {
        const runId = ids[action.run];
        if (runId !== undefined) await this.#harness.store.update(runId, { guard: [], set: { s0: "r1.1.2.me" } });
        break;
      }
      case "remove": {
        const runId = ids[action.run];
        if (runId === undefined || this.#harness.remove === undefined) return;
        await this.#harness.remove(runId);
        this.#known.delete(runId);
        break;
      }
      case "look":
        await this.#harness.settled();
        await this.expectList({}, limits.listedRuns);
    }
  }

  async start({ workflow = "orders", createdAtMs = t0, tags = { all: "runs" }, child }: StartSeed): Promise<string> {
    const number = this.#started;
    this.#started += 1;
    // Ids that are in another order than their starts.
    const own = `${"zAb-"[number % 4] ?? ""}${(number * 7919) % 1_000}.${number}`;
    const runId =
      child === undefined ? own : [child.of, child.step, ...(child.item === undefined ? [] : [child.item])].join("~");
    const link = { workflow, step: 0, taskQueue: "default", epoch: 0, attempt: 1 };
    const fingerprint = child?.item === undefined ? "0123456789abcdef" : "0123456789abcdef.0.0.20.0.0";
    const run = runOf({
      runId,
      workflow,
      createdAtMs,
      tags,
      ...(child === undefined ? {} : { parent: { ...link, fingerprint } }),
    });
    const { applied } = await this.#harness.store.update(runId, {
      guard: [{ field: field.status, is: "absent" }],
      set: encodeRun(run),
    });
    if (applied) this.#known.set(runId, { run, ...(child === undefined ? {} : { parent: child.of }) });
    return runId;
  }

  /** @param seed when it ended, if it does; without: a second after its creation */
  async turn(runId: string, to: RunStatus, seed: TurnSeed = {}): Promise<void> {
    const before = this.#run(runId);
    if (before.status === to) return;
    const { fingerprint, message = "no", endedAtMs = before.createdAtMs + 1_000 } = seed;
    const { endedAtMs: _ended, expiresAtMs: _expires, error: _error, ...rest } = before;
    const hasEnded = ["succeeded", "failed", "cancelled", "timed_out"].includes(to);
    const error = { name: "Refused", message, step: "charge", ...(fingerprint === undefined ? {} : { fingerprint }) };
    const expiresAtMs = Math.ceil(endedAtMs / 1_000) * 1_000 + 90 * 86_400_000;
    const after: RunState = {
      ...rest,
      status: to,
      ...(hasEnded ? { endedAtMs } : {}),
      ...(hasEnded && before.parent === undefined ? { expiresAtMs } : {}),
      ...(to === "succeeded" || to === "running" ? {} : { error }),
    };
    const set = encodeRun(after, before);
    const gone = Object.keys(encodeRun(before)).filter((name) => !(name in encodeRun(after)));
    const { applied } = await this.#harness.store.update(runId, {
      guard: [{ field: field.status, is: "equal", value: before.status }],
      set,
      remove: gone,
      add: { [field.changes]: 1 },
    });
    expect(applied).toBe(true);
    this.#known.set(runId, { ...(this.#known.get(runId) as Known), run: after });
  }

  filter(seed: FilterSeed): RunFilter {
    const { tag, parent, ...rest } = seed;
    const [key, value] = hostileTags[tag ?? -1] ?? [];
    const given = {
      ...rest,
      ...(key === undefined || value === undefined ? {} : { tag: { key, value } }),
      ...(parent === undefined ? {} : { parent: [...this.#known.keys()][parent] ?? "nobody" }),
    };
    return Object.fromEntries(Object.entries(given).filter(([, one]) => one !== undefined));
  }

  /** Ids that a list should have, in its order. */
  found(filter: RunFilter): string[] {
    const { workflow, statuses, fromMs, toMs, tag, parent, fingerprint } = filter;
    return [...this.#known.values()]
      .filter((known) => {
        const { run } = known;
        if (workflow !== undefined && run.workflow !== workflow) return false;
        if (statuses !== undefined && !statuses.includes(run.status)) return false;
        if (fromMs !== undefined && run.createdAtMs < fromMs) return false;
        if (toMs !== undefined && run.createdAtMs >= toMs) return false;
        if (parent !== undefined && known.parent !== parent) return false;
        if (fingerprint !== undefined && (run.status !== "failed" || run.error?.fingerprint !== fingerprint))
          return false;
        return (
          tag === undefined ||
          Object.entries(run.tags ?? {}).some(([key, value]) => key === tag.key && value === tag.value)
        );
      })
      .map(({ run }) => run)
      .sort((a, b) => b.createdAtMs - a.createdAtMs || Buffer.compare(Buffer.from(b.runId), Buffer.from(a.runId)))
      .map(({ runId }) => runId);
  }

  /** In pages of the limit, and in one; how many there are. */
  async expectList(filter: RunFilter, limit: number): Promise<number> {
    const expected = this.found(filter);
    expect(await this.#pages(filter, limit)).toEqual(expected);
    if (expected.length > limit) expect(await this.#pages(filter, limits.listedRuns)).toEqual(expected);
    return expected.length;
  }

  async expectCounts(): Promise<void> {
    const expected = new Map<string, number>();
    const add = (...key: string[]): unknown => expected.set(key.join(" "), (expected.get(key.join(" ")) ?? 0) + 1);
    for (const { run } of this.#known.values()) {
      const day = new Date(run.createdAtMs).toISOString().slice(0, 10);
      add(day, run.workflow, run.status);
      if (run.endedAtMs !== undefined) add(day, run.workflow, durationBucket(run.endedAtMs - run.createdAtMs));
    }
    const counted = (await this.#harness.runIndex.counts(allDays)).flatMap(({ day, workflow, counts }) =>
      Object.entries(counts).map(([name, count]): [string, number] => [`${day} ${workflow} ${name}`, count]),
    );
    const isCounted = ([, count]: [string, number]): boolean => count !== 0;
    expect(Object.fromEntries(counted.filter(isCounted))).toEqual(Object.fromEntries(expected));
    expect(counted.filter(isCounted)).toHaveLength(expected.size);
  }

  async expectFailures(): Promise<void> {
    const failed = [...this.#known.values()]
      .map(({ run }) => run)
      .filter(({ status, error }) => status === "failed" && error?.fingerprint !== undefined);
    const groups = Object.groupBy(failed, ({ error }) => error?.fingerprint ?? "");
    const counted = await this.#harness.runIndex.failures();
    const counts = (list: readonly FailureGroup[]): unknown =>
      Object.fromEntries(list.map((one) => [one.fingerprint, one.count]));
    expect(counts(counted)).toEqual(
      Object.fromEntries(Object.entries(groups).map(([key, runs = []]) => [key, runs.length])),
    );
    for (const { fingerprint, step, name, firstAtMs, atMs } of counted) {
      const times = (groups[fingerprint] ?? []).map(({ endedAtMs = 0 }) => endedAtMs);
      expect({ step, name }).toEqual({ step: "charge", name: "Refused" });
      // What has been redriven since, or removed, may have been the first or the last.
      expect(firstAtMs).toBeLessThanOrEqual(Math.min(...times));
      expect(atMs).toBeGreaterThanOrEqual(Math.max(...times));
    }
  }

  async expectExtent(): Promise<void> {
    const days = (times: readonly number[]): string | undefined =>
      times.length === 0 ? undefined : new Date(Math.min(...times)).toISOString().slice(0, 10);
    const runs = [...this.#known.values()].map(({ run }) => run);
    const { oldestDay, nextExpiryDay } = await this.#harness.runIndex.extent();
    expect(oldestDay).toBe(days(runs.map(({ createdAtMs }) => createdAtMs)));
    expect(nextExpiryDay).toBe(days(runs.flatMap(({ expiresAtMs }) => expiresAtMs ?? [])));
  }

  async #pages(filter: RunFilter, limit: number): Promise<string[]> {
    const all: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await this.#harness.runIndex.list({ filter, limit, ...(cursor === undefined ? {} : { cursor }) });
      expect(page.runs.length).toBeLessThanOrEqual(limit);
      for (const { runId, fields } of page.runs) {
        expect(fields[field.status]).toBe(this.#run(runId).status);
        all.push(runId);
      }
      ({ cursor } = page);
      pages += 1;
      expect(pages, "pages that never end").toBeLessThan(2_000);
    } while (cursor !== undefined);
    return all;
  }

  #run(runId: string): RunState {
    const known = this.#known.get(runId);
    if (known === undefined) throw new Error(`Nobody has started run ${runId}`);
    return known.run;
  }
}
