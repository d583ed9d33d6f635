/**
 * How often attempts may begin, counted exactly over a sliding time: a small record of its own beside the runs keeps
 * when the last ones began. Attempts that begin close together are one group, which leaves the time when its last one
 * does; so the record stays small at any limit, and the error is on the safe side.
 *
 * Invariants:
 * 1. Within any time of the length `perMs`, by the clock of the record, at most `limit` attempts begin. That clock is the
 *    fastest of those that write; one that is further ahead than clocks may differ is not believed.
 * 2. An attempt for which there is no room is told when there will be, each another time (`promisedMs`); an attempt that
 *    comes for the first time stays behind those. A promise is no right: it only spreads the looks.
 * 3. An attempt that comes again begins when there is room: what was promised to others does not stop it.
 */
import type { Rate } from "../definition/flow.ts";
import { limits } from "../definition/limits.ts";
import { otherVersion, StoredShapeError, shown } from "./field-reader.ts";
import type { Condition, Fields, Transition } from "./transition.ts";

interface Group {
  readonly sinceMs: number;
  readonly lastMs: number;
  readonly count: number;
}

export interface RateRecord {
  /** In the order of time, at most `limits.rateGroups` + 1 in one `perMs`. */
  readonly groups: readonly Group[];
  /** When the last of the attempts that wait was told to come again; 0 when none was. */
  readonly promisedMs: number;
}

export type RateVerdict =
  | { readonly kind: "begin"; readonly next: RateRecord }
  /** Without `next` there is nothing to write. */
  | { readonly kind: "wait"; readonly delayMs: number; readonly next?: RateRecord | undefined };

export interface Asking {
  readonly nowMs: number;
  /** Nobody has told it yet to come again. */
  readonly isFirstTime: boolean;
  /** Random in [0, 1). */
  readonly fraction: number;
}

export function mayBegin(record: RateRecord, rate: Rate, asking: Asking): RateVerdict {
  const { nowMs, isFirstTime, fraction } = asking;
  const honest = record.groups.filter(({ lastMs }) => lastMs <= nowMs + limits.clockSkewMs);
  // Time does not go back: the clock of whoever wrote last may be ahead of this one.
  const atMs = Math.max(nowMs, honest.at(-1)?.lastMs ?? 0);
  const groups = honest.filter(({ lastMs }) => lastMs > atMs - rate.perMs);
  const isPromised = record.promisedMs > nowMs && record.promisedMs <= nowMs + limits.rateWaitMs + limits.clockSkewMs;
  const roomAtMs = roomAt(groups, rate, nowMs);
  if (roomAtMs <= nowMs && !(isFirstTime && isPromised)) {
    return { kind: "begin", next: { groups: withOne(groups, rate, atMs), promisedMs: record.promisedMs } };
  }
  // Groups take up to a part of the time longer to leave: promises at the very rate would not all be kept.
  const pauseMs = (rate.perMs / rate.limit) * (1 + 1 / limits.rateGroups);
  const turnMs = Math.ceil(Math.max(roomAtMs, isPromised ? record.promisedMs + pauseMs : 0));
  if (turnMs - nowMs > limits.rateWaitMs) {
    return { kind: "wait", delayMs: Math.ceil((limits.rateWaitMs * (1 + fraction)) / 2) };
  }
  return { kind: "wait", delayMs: Math.max(1, turnMs - nowMs), next: { groups: record.groups, promisedMs: turnMs } };
}

/** When the next attempt may begin, if nobody else does. */
function roomAt(groups: readonly Group[], { limit, perMs }: Rate, nowMs: number): number {
  let left = groups.reduce((sum, { count }) => sum + count, 0);
  let atMs = nowMs;
  for (const { count, lastMs } of groups) {
    if (left < limit) break;
    left -= count;
    atMs = lastMs + perMs;
  }
  return atMs;
}

function withOne(groups: readonly Group[], { perMs }: Rate, atMs: number): Group[] {
  const last = groups.at(-1);
  if (last === undefined || atMs - last.sinceMs >= perMs / limits.rateGroups) {
    return [...groups, { sinceMs: atMs, lastMs: atMs, count: 1 }];
  }
  return [...groups.slice(0, -1), { ...last, lastMs: atMs, count: last.count + 1 }];
}

/** `v` version of this shape, `w` groups as `<since>.<last - since>.<count>` in base 36, `p` promised. */
const rateField = { schema: "v", groups: "w", promised: "p" } as const;
const rateSchema = 1;

export function decodeRate(id: string, fields: Fields | undefined): RateRecord {
  if (fields === undefined) return { groups: [], promisedMs: 0 };
  const { v, w, p } = fields;
  const groups = typeof w === "string" && w !== "" ? w.split(" ").map(decodeGroup) : [];
  if (v === rateSchema && typeof w === "string" && typeof p === "number" && groups.every((one) => one !== undefined)) {
    return { groups, promisedMs: p };
  }
  throw new StoredShapeError(
    `Rate ${id}`,
    v === rateSchema ? `it is stored as ${shown(fields)}` : otherVersion(v, rateSchema),
  );
}

/** The one conditional write from a record to the next; it relies on all of it. */
export function rateTransition(fields: Fields | undefined, next: RateRecord): Transition {
  const relied = [rateField.groups, rateField.promised].map((name): Condition => {
    const value = fields?.[name];
    return value === undefined ? { field: name, is: "absent" } : { field: name, is: "equal", value };
  });
  const set = {
    [rateField.schema]: rateSchema,
    [rateField.groups]: next.groups.map(encodeGroup).join(" "),
    [rateField.promised]: next.promisedMs,
  };
  return { guard: relied, set };
}

function encodeGroup({ sinceMs, lastMs, count }: Group): string {
  return [sinceMs, lastMs - sinceMs, count].map((value) => value.toString(36)).join(".");
}

function decodeGroup(text: string): Group | undefined {
  const [, since, took, count] = /^([0-9a-z]+)\.([0-9a-z]+)\.([0-9a-z]+)$/.exec(text) ?? [];
  if (since === undefined || took === undefined || count === undefined) return undefined;
  const sinceMs = Number.parseInt(since, 36);
  return { sinceMs, lastMs: sinceMs + Number.parseInt(took, 36), count: Number.parseInt(count, 36) };
}
