// Hunts: stored runs that a newer version no longer reads, and records that outgrow one write unit.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { decodeRun, encodeRun, field, recordBytes } from "../../lib/engine/codec.ts";
import { isTerminal, type RunState, runStatuses, type StepState } from "../../lib/engine/run-state.ts";
import { encodeStep } from "../../lib/engine/step-codec.ts";
import type { Fields } from "../../lib/engine/transition.ts";
import golden from "./golden/run-v1.json" with { type: "json" };
import { ended, nowMs, running, runOf, stateOf } from "./sample-run.ts";

interface Golden {
  readonly name: string;
  readonly fields: Fields;
  /** JSON has no `undefined`: a step that has not begun is null. */
  readonly run: Record<string, unknown>;
}

describe("records of version 1, as they lie in tables", () => {
  const records = golden as readonly unknown[] as readonly Golden[];

  test.each(records)("$name", ({ fields, run }) => {
    const read = decodeRun(String(run.runId), fields);
    expect(JSON.parse(JSON.stringify(read))).toEqual(run);
  });

  test.each(records)("$name: a writer compares with exactly what is stored (R4)", ({ fields, run }) => {
    const read = decodeRun(String(run.runId), fields);
    const again = encodeRun(read);
    if (!isTerminal(read.status)) expect(again).toEqual(fields);
    // A step that was cut off by the end of its run stays as it was written; nothing is written any more.
    else expect(Object.keys(again).sort()).toEqual(Object.keys(fields).sort());
  });

  test("every status is among them", () => {
    expect(new Set(records.map(({ run }) => run.status))).toEqual(new Set(runStatuses));
    const steps = records.flatMap(({ run }) => run.steps as readonly (StepState | null)[]);
    expect(new Set(steps.map((step) => step?.status ?? "pending")).size).toBe(9);
  });
});

test("in an ended run, what had begun and not ended is cancelled at its end (R2)", () => {
  const endedAtMs = nowMs;
  const fields = (status: RunState["status"]): Fields => ({
    ...encodeRun(
      runOf({ endedAtMs, steps: [running(), stateOf("backing_off"), ended("failed"), undefined, ended("succeeded")] }),
    ),
    [field.status]: status,
  });
  for (const status of runStatuses) {
    const { steps } = decodeRun("run", fields(status));
    const cutOff = isTerminal(status)
      ? [
          { status: "cancelled", attempt: 1, startedAtMs: nowMs - 5_000, endedAtMs },
          { status: "cancelled", attempt: 1, startedAtMs: endedAtMs, endedAtMs },
        ]
      : [running(), stateOf("backing_off")];
    expect(steps).toEqual([...cutOff, ended("failed"), undefined, ended("succeeded")]);
  }
});

test("a step never ends before it started, whatever the clocks say", () => {
  const fields = {
    ...encodeRun(runOf({ endedAtMs: nowMs - 60_000, steps: [running()] })),
    [field.status]: "cancelled",
  };
  expect(decodeRun("run", fields).steps[0]).toMatchObject({ startedAtMs: nowMs - 5_000, endedAtMs: nowMs - 5_000 });
});

describe("size", () => {
  const chain = (steps: number, tookMs: number): RunState =>
    runOf({
      runId: "6f1c1c9e-6f3f-4d0c-9a54-0f6e0a9b8c7d",
      workflow: "order-fulfilment",
      status: "succeeded",
      changes: 2,
      input: { json: JSON.stringify({ orderId: "A-123456", customer: "c-987", lines: 3 }) },
      inputHash: "x".repeat(22),
      endedAtMs: nowMs,
      steps: Array.from({ length: steps }, (_, at) => ended("succeeded", { endedAtMs: nowMs - 5_000 + tookMs + at })),
    });

  test("an ended step takes at most 22 bytes, its name included", () => {
    for (const tookMs of [0, 40, 60_000, 86_400_000]) {
      const [few, many] = [recordBytes(encodeRun(chain(10, tookMs))), recordBytes(encodeRun(chain(200, tookMs)))];
      expect((many - few) / 190).toBeLessThanOrEqual(22);
    }
    const longest = ended("succeeded", { attempt: limits.attempts, endedAtMs: nowMs + limits.stepTimeoutMs });
    expect(field.step(199).length + encodeStep(longest).length).toBeLessThanOrEqual(limits.stepStateBytes + 1);
  });

  test("a chain of 50 ended steps without outputs stays within 1.4 KB", () => {
    expect(recordBytes(encodeRun(chain(50, 60_000)))).toBeLessThanOrEqual(1_400);
  });

  test("a chain of 40 short steps costs one write unit per update", () => {
    expect(recordBytes(encodeRun(chain(40, 400)))).toBeLessThanOrEqual(limits.runItemBytes);
  });

  test("a step at work takes its state and its owner's name", () => {
    const owner = "a1b2c3d4-zz";
    expect(encodeStep(running({ owner })).length).toBeLessThanOrEqual(22 + owner.length);
  });

  test("bytes count names, characters of several bytes, and numbers", () => {
    expect(recordBytes({})).toBe(0);
    expect(recordBytes({ st: "running" })).toBe(9);
    expect(recordBytes({ i: "é€😀" })).toBe(10);
    expect(recordBytes({ c: 1_800_000_000_000 })).toBe(1 + 7 + 1);
  });
});
