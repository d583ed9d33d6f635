/** The state of a step as one short text: what a fence compares with (R4), and what is billed with each write of the run. */
import { isTime } from "./field-reader.ts";
import type { StepState } from "./run-state.ts";

const letterOf = {
  running: "r",
  backing_off: "b",
  waiting: "w",
  succeeded: "s",
  failed: "f",
  skipped: "k",
  unknown: "u",
  cancelled: "c",
} as const;

const statusOf: Readonly<Record<string, StepState["status"]>> = {
  r: "running",
  b: "backing_off",
  w: "waiting",
  s: "succeeded",
  f: "failed",
  k: "skipped",
  u: "unknown",
  c: "cancelled",
};

/** `<status><attempt>[!].<times in base 36>[.<owner>]`: 15 to 35 characters. `!`: it may have taken effect. */
export function encodeStep(step: StepState): string {
  const mark = "mayHaveActed" in step ? "!" : "";
  const head = `${letterOf[step.status]}${step.attempt}${mark}`;
  switch (step.status) {
    case "running":
      return `${head}.${base36(step.startedAtMs)}.${base36(step.leaseUntilMs)}.${step.owner}`;
    case "backing_off":
      return `${head}.${base36(step.wakeAtMs)}`;
    case "waiting":
      return `${head}.${base36(step.sinceMs)}${step.wakeAtMs === undefined ? "" : `.${base36(step.wakeAtMs)}`}`;
    case "succeeded":
    case "failed":
    case "skipped":
    case "unknown":
    case "cancelled":
      return `${head}.${base36(step.startedAtMs)}.${base36(step.endedAtMs - step.startedAtMs)}`;
  }
}

/** Exactly what `encodeStep` writes: a text that it would write otherwise could never be fenced. */
const stepForm = /^([a-z])(0|[1-9]\d*)(!?)\.(0|[1-9a-z][0-9a-z]*)(?:\.(0|[1-9a-z][0-9a-z]*))?(?:\.(.*))?$/s;

export function decodeStep(text: string): StepState | undefined {
  const [, letter = "", attemptText, mark, first = "", second, owner] = stepForm.exec(text) ?? [];
  const status = statusOf[letter];
  if (status === undefined || (owner !== undefined) !== (status === "running")) return undefined;
  if (mark === "!" && !["running", "backing_off", "waiting"].includes(status)) return undefined;
  const acted = mark === "!" ? { mayHaveActed: true as const } : {};
  const attempt = Number(attemptText);
  const firstMs = Number.parseInt(first, 36);
  if (!Number.isSafeInteger(attempt) || !isTime(firstMs)) return undefined;
  if (second === undefined) {
    if (status === "backing_off") return { status, attempt, wakeAtMs: firstMs, ...acted };
    return status === "waiting" ? { status, attempt, sinceMs: firstMs, ...acted } : undefined;
  }
  const secondMs = Number.parseInt(second, 36);
  if (!isTime(firstMs + secondMs)) return undefined;
  switch (status) {
    case "backing_off":
      return undefined;
    case "waiting":
      return { status, attempt, sinceMs: firstMs, wakeAtMs: secondMs, ...acted };
    case "running":
      return { status, attempt, owner: owner ?? "", leaseUntilMs: secondMs, startedAtMs: firstMs, ...acted };
    case "succeeded":
    case "failed":
    case "skipped":
    case "unknown":
    case "cancelled":
      return { status, attempt, startedAtMs: firstMs, endedAtMs: firstMs + secondMs };
  }
}

export function base36(value: number): string {
  return Math.max(0, Math.trunc(value)).toString(36);
}
