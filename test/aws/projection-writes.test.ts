// Hunts writes that count a change wrongly, do not fit into a request, or let an older failure hide a newer one.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  countTransaction,
  lastEntryWrites,
  type ProjectedChange,
  projectChange,
  transactionEnds,
} from "../../lib/aws/projection-writes.ts";
import { limits } from "../../lib/definition/limits.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import { nowMs, runOf } from "../engine/sample-run.ts";

const second = 1_795_262_400;
const error = { name: "Refused", message: "no", step: "charge", fingerprint: "kind" };
const failed = (change: Partial<RunState> = {}): RunState =>
  runOf({ status: "failed", changes: 2, error, endedAtMs: nowMs, ...change });
const started = (change: Partial<RunState> = {}): ProjectedChange =>
  projectChange({ second, before: undefined, after: runOf(change) })!;
const failing = (change: Partial<RunState> = {}): ProjectedChange =>
  projectChange({ second, before: runOf(change), after: failed(change) })!;

const updates = (changes: readonly ProjectedChange[], known = new Map()) =>
  countTransaction("table", changes, known).TransactItems!.map(({ Update }) => Update!);

describe("a change", () => {
  test("has the same id whenever it is looked at, and another than every other change", () => {
    const changes = [
      started(),
      failing(),
      projectChange({ second, before: failed(), after: undefined })!,
      projectChange({ second, before: failed(), after: runOf({ changes: 3 }) })!,
      started({ runId: "other" }),
      started({ createdAtMs: nowMs }),
    ];
    expect(new Set(changes.map(({ id }) => id)).size).toBe(changes.length);
    expect(started().id).toBe(started().id);
  });

  test("of a run that is in no list, or that leaves the status alone, is none", () => {
    const shard = runOf({ fingerprint: "0123456789abcdef.0.0.16.1.0" });
    expect(projectChange({ second, before: undefined, after: shard })).toBeUndefined();
    expect(projectChange({ second, before: runOf(), after: runOf({ changes: 2 }) })).toBeUndefined();
  });
});

describe("entries", () => {
  test("are written once for a batch, as the last change leaves them", () => {
    const redriven = projectChange({ second, before: failed(), after: runOf({ changes: 3 }) });
    const writes = lastEntryWrites([undefined, failing(), redriven, started({ runId: "b", tags: { a: "b" } })]);
    expect(writes).toMatchObject([
      { key: { pk: "l#f#kind" }, put: undefined, firstChange: 1 },
      { key: { pk: "l#t#1#a#b", sk: `${nowMs - 60_000}#b` }, put: {}, firstChange: 3 },
    ]);
  });
});

describe("groups of failures", () => {
  const group = (changes: readonly ProjectedChange[], known = new Map()) =>
    updates(changes, known).find(({ Key }) => Key?.pk?.S === "f")!;

  test("are told of their last failure and count all of them", () => {
    const { UpdateExpression, ExpressionAttributeValues, ConditionExpression } = group([
      failing({ runId: "late", endedAtMs: nowMs + 5 }),
      failing({ runId: "early" }),
    ]);
    expect(UpdateExpression).toMatch(/^SET .*=if_not_exists\(.* ADD #\w+ :\w+$/);
    const values = Object.values(ExpressionAttributeValues!);
    expect(values).toContainEqual({ S: "late" });
    expect(values).not.toContainEqual({ S: "early" });
    expect(values).toContainEqual({ N: "2" });
    expect(ConditionExpression).toContain("attribute_not_exists");
  });

  test("that were seen later keep that, and those that were seen earlier, too", () => {
    const known = (atMs: number, firstAtMs: number) =>
      new Map([["kind", { atMs: { N: String(atMs) }, firstAtMs: { N: String(firstAtMs) } }]]);
    const late = group([failing()], known(nowMs + 1, nowMs - 1));
    expect(late.UpdateExpression).toBe("ADD #0 :0");
    // Of one that has gone since, what it was found with would be missing.
    expect(late.ConditionExpression).toBe("attribute_exists(#1)");
    expect(Object.keys(late.ExpressionAttributeNames ?? {})).toEqual(["#0", "#1"]);
    expect(group([failing()], known(nowMs + 1, nowMs + 1)).UpdateExpression).toBe("SET #0=:0 ADD #1 :1");
    expect(group([failing()], known(nowMs, nowMs - 1)).UpdateExpression).toMatch(/^SET #0=:0,.* ADD/);
  });

  test("lose what is redriven", () => {
    const redriven = projectChange({ second, before: failed(), after: runOf({ changes: 3 }) })!;
    expect(group([redriven])).toMatchObject({
      UpdateExpression: "ADD #0 :0",
      ExpressionAttributeValues: { ":0": { N: "-1" } },
    });
  });

  test("take messages that DynamoDB would refuse", () => {
    const message = "half \ud800 a character";
    const change = projectChange({ second, before: runOf(), after: failed({ error: { ...error, message } }) })!;
    expect(Object.values(group([change]).ExpressionAttributeValues!)).toContainEqual({ S: "half \ufffd a character" });
  });
});

describe("transactions", () => {
  const change = fc
    .record({ workflow: fc.nat(150), run: fc.nat(1_000), at: fc.nat(40), kind: fc.option(fc.nat(120)) })
    .map(({ workflow, run, at, kind }): ProjectedChange => {
      const own = { runId: `r${run}`, workflow: `w${workflow}` };
      const ended = kind === null ? {} : { error: { ...error, fingerprint: `k${kind}` }, expiresAtMs: nowMs };
      return projectChange({ second: second + at, before: runOf(own), after: failed({ ...own, ...ended }) })!;
    });

  test("have every change once, in order, and no more items than DynamoDB takes, each once", () => {
    fc.assert(
      fc.property(fc.array(fc.option(change, { nil: undefined }), { maxLength: 200 }), (changes) => {
        const ends = transactionEnds(changes);
        expect(ends.at(-1)).toBe(changes.length);
        expect([...ends].sort((a, b) => a - b)).toEqual(ends);
        let from = 0;
        for (const end of ends) {
          const part = changes.slice(from, end).filter((one) => one !== undefined);
          const keys = updates(part).map(({ Key }) => JSON.stringify(Key));
          expect(keys.length).toBeLessThanOrEqual(limits.transactionWrites);
          expect(new Set(keys).size).toBe(keys.length);
          from = end;
        }
      }),
    );
  });

  test("ask for at most what an expression may hold", () => {
    const changes = Array.from({ length: 100 }, (_, n) => started({ runId: `r${n}` }));
    const [remember] = updates(changes);
    expect(remember?.ConditionExpression?.match(/NOT contains/g)).toHaveLength(100);
    // 4 KB, and 300 operators and functions: NOT, contains, and AND between them.
    expect(remember?.ConditionExpression?.length).toBeLessThan(4_096);
    expect(remember?.ConditionExpression?.match(/NOT|contains|AND/g)!.length).toBeLessThanOrEqual(300);
    expect(remember?.ExpressionAttributeValues?.[":ttl"]).toEqual({ N: String(second + 26 * 3_600) });
  });
});
