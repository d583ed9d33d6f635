// Hunts status changes that a record of the table's stream tells of and nobody hears, and records that are taken for one (R9).
import { describe, expect, test } from "vitest";
import { attributeValue } from "../../lib/aws/expression.ts";
import { parseStreamEvent, removedRunOf, runChangeOf, statusChangeOf } from "../../lib/aws/stream-record.ts";
import { attributeOf, itemKey } from "../../lib/aws/table.ts";
import { bar } from "../../lib/engine/barred.ts";
import { encodeRun, field } from "../../lib/engine/codec.ts";
import type { Fields } from "../../lib/engine/transition.ts";
import { runOf } from "../engine/sample-run.ts";

function image(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [attributeOf(name), attributeValue(value)]));
}

const running = {
  [field.status]: "running",
  [field.workflow]: "order",
  [field.fingerprint]: "abc",
  [field.changes]: 1,
  s0: "r1",
};

function event(before: Fields | undefined, after: Fields | undefined, key = itemKey.run("r-1")): unknown {
  return {
    Records: [
      {
        eventID: "1",
        eventName: "MODIFY",
        eventSource: "aws:dynamodb",
        dynamodb: {
          SequenceNumber: "111",
          ApproximateCreationDateTime: 1_795_262_400,
          Keys: { pk: { S: key.pk }, sk: { S: key.sk } },
          ...(before === undefined ? {} : { OldImage: image(before) }),
          ...(after === undefined ? {} : { NewImage: image(after) }),
          SizeBytes: 100,
          StreamViewType: "NEW_AND_OLD_IMAGES",
        },
      },
    ],
  };
}

function changeOf(...given: Parameters<typeof event>): ReturnType<typeof statusChangeOf> {
  const [record] = parseStreamEvent(event(...given));
  return statusChangeOf(record!);
}

describe("a record", () => {
  test("of a new run", () => {
    expect(changeOf(undefined, running)).toEqual({
      change: {
        id: "r-1:1",
        runId: "r-1",
        workflow: "order",
        status: "running",
        time: new Date(1_795_262_400_000).toISOString(),
      },
      isShard: false,
    });
  });

  test("of a run that ended", () => {
    const change = changeOf(running, { ...running, [field.status]: "succeeded", [field.changes]: 2 })?.change;
    expect(change).toMatchObject({ id: "r-1:2", status: "succeeded", previous: "running" });
  });

  test("of a write that leaves the status as it is", () => {
    expect(changeOf(running, { ...running, s0: "s1" })).toBeUndefined();
  });

  test("of a part of a map", () => {
    expect(changeOf(undefined, { ...running, [field.fingerprint]: "abc.0.0.16.1.0" })?.isShard).toBe(true);
  });

  test.each([
    ["a payload", itemKey.payload("r-1", "in")],
    ["a record that runs share", itemKey.run("gate#order#a")],
    ["a graph", itemKey.graph("order", "abc")],
  ])("of %s", (_, key) => {
    expect(changeOf(undefined, running, key)).toBeUndefined();
  });

  test("of an id that is barred, and of the run that is started under it later", () => {
    const barred = bar(0).set;
    for (const [before, after] of [
      [undefined, barred],
      [barred, bar(1).set],
      [barred, undefined],
    ] as const) {
      const [record] = parseStreamEvent(event(before, after));
      expect([statusChangeOf(record!), runChangeOf(record!), removedRunOf(record!)]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
    }
    expect(changeOf(barred, running)?.change).toEqual(changeOf(undefined, running)?.change);
    const run = encodeRun(runOf());
    const [started] = parseStreamEvent(event(barred, run));
    expect(runChangeOf(started!)).toMatchObject({ before: undefined, after: { status: "running" } });
  });

  test("of a run that is deleted", () => {
    expect(changeOf({ ...running, [field.status]: "succeeded" }, undefined)).toBeUndefined();
  });

  test("of a run that cannot be read", () => {
    expect(() => changeOf(undefined, { ...running, [field.changes]: "x" })).toThrow();
  });
});

test("what is no event of a stream is refused with what was expected", () => {
  expect(() => parseStreamEvent({ Records: [{ body: "{}" }] })).toThrow(/new and old images/);
  expect(() => parseStreamEvent("hello")).toThrow(/table's stream/);
});
