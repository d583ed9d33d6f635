// Hunts: a change of status that the lifecycle function is never invoked for, and writes that wake it for nothing.
import { expect, it } from "vitest";
import { type EventPattern, statusChangePatterns } from "../../lib/aws/status-change-patterns.ts";
import { isTerminal, type RunStatus, runStatuses } from "../../lib/engine/run-state.ts";

interface Item {
  readonly sk: string;
  /** Absent of what bars an id. */
  readonly status?: RunStatus;
}

const record = (eventName: string, before: Item | undefined, after: Item | undefined): unknown => {
  const image = (item: Item | undefined) =>
    item && { sk: { S: item.sk }, ...(item.status === undefined ? { be: { N: "0" } } : { st: { S: item.status } }) };
  const [OldImage, NewImage] = [image(before), image(after)];
  return {
    eventName,
    dynamodb: {
      Keys: { sk: { S: (after ?? before)!.sk } },
      ...(OldImage && { OldImage }),
      ...(NewImage && { NewImage }),
    },
  };
};

/** Event patterns as EventBridge documents them, as far as they are used here. */
function matches(pattern: unknown, value: unknown): boolean {
  if (!Array.isArray(pattern)) {
    const parts = value as EventPattern | undefined;
    return Object.entries(pattern as EventPattern).every(([key, inner]) => matches(inner, parts?.[key]));
  }
  return pattern.some((allowed) => {
    if (typeof allowed !== "object") return allowed === value;
    if ("exists" in allowed) return allowed.exists === (value !== undefined);
    return value !== undefined && !allowed["anything-but"].includes(value);
  });
}

const wakes = (given: unknown): boolean => statusChangePatterns.some((pattern) => matches(pattern, given));
const run = (status: RunStatus): Item => ({ sk: "run", status });

it("brings the start of each run", () => {
  expect(wakes(record("INSERT", undefined, run("running")))).toBe(true);
});

it("brings the removal of each run, and of nothing else", () => {
  for (const status of runStatuses) expect(wakes(record("REMOVE", run(status), undefined))).toBe(true);
  expect(wakes(record("REMOVE", { sk: "counted", status: "failed" }, undefined))).toBe(false);
});

it.each(runStatuses)("brings every change of a run that is %s", (from) => {
  const next = runStatuses.filter((to) => to !== from && !(isTerminal(from) && isTerminal(to)));
  expect(next.filter((to) => !wakes(record("MODIFY", run(from), run(to))))).toEqual([]);
});

it("brings the start of a run whose id had been barred, and not what bars it once more", () => {
  const barred: Item = { sk: "run" };
  for (const status of ["running", "succeeded", "failed"] as const) {
    expect(wakes(record("MODIFY", barred, run(status)))).toBe(true);
  }
  expect(wakes(record("MODIFY", barred, barred))).toBe(false);
});

it("leaves out writes that change no status, and what is no run", () => {
  for (const status of runStatuses) {
    expect(wakes(record("MODIFY", run(status), run(status)))).toBe(false);
    expect(wakes(record("INSERT", undefined, { sk: "p#o1", status }))).toBe(false);
  }
  expect(wakes(record("MODIFY", { sk: "record", status: "running" }, { sk: "record", status: "failed" }))).toBe(false);
});

it("fits into the five filters that Lambda takes for one event source", () => {
  expect(statusChangePatterns.length).toBeLessThanOrEqual(5);
  for (const pattern of statusChangePatterns) expect(JSON.stringify(pattern).length).toBeLessThanOrEqual(4096);
});
