/** What a write of a record is billed, and what it says of the work that was done: from the record before and after it. */
import { recordItem } from "../aws/dynamo-requests.ts";
import { attributeValue } from "../aws/expression.ts";
import { projectChange } from "../aws/projection-writes.ts";
import { attributeOf, tableSchema } from "../aws/table.ts";
import { parseShardFingerprint } from "../definition/shards.ts";
import type { RunChange } from "../embedded/backend.ts";
import { decodeRun, field } from "../engine/codec.ts";
import { decodeStep } from "../engine/step-codec.ts";
import type { Fields } from "../engine/transition.ts";
import { type Assumptions, gbSecondsOf } from "./assumptions.ts";
import type { Counter, Part } from "./meter.ts";
import type { WorkDone } from "./peers.ts";
import { type Item, indexWriteUnits, itemBytes, writeUnits } from "./units.ts";
import type { Usage } from "./usage.ts";

/** Counts a write of a run: the write itself, and what its status change leads to. */
export function countChange(
  counter: Counter,
  change: RunChange,
  assumptions: Pick<Assumptions, "changesAtOnce">,
  nowMs: number,
): void {
  const { runId, before, after } = change;
  const changed = changedFields(before, after);
  const part = partOf(before, changed);
  counter.add(part, writeUsage(runId, before, after, changed));
  counter.addWork(workOf(part, changed, before));
  if (before?.[field.status] !== after[field.status]) countStatus(counter, change, assumptions, nowMs);
}

/** @param id of a run, or of what runs share */
export function writeUsage(
  id: string,
  before: Fields | undefined,
  after: Fields,
  changed = changedFields(before, after),
): Partial<Usage> {
  const was = before === undefined ? undefined : (stored.get(before) ?? measure(id, before));
  const is = (before && was && nextStored(was, before, after, changed)) ?? measure(id, after);
  stored.set(after, is);
  const tableWrites = writeUnits(Math.max(was?.bytes ?? 0, is.bytes));
  if (was?.indexEntry === is.indexEntry) return { tableWrites };
  return { tableWrites, indexWrites: indexWriteUnits(was?.indexEntry, is.indexEntry, indexKeys) };
}

type Changed = readonly (readonly [name: string, value: Fields[string]])[];

/** Fields that were set to something else; not those that were taken away. */
function changedFields(before: Fields | undefined, after: Fields): Changed {
  const changed: (readonly [string, Fields[string]])[] = [];
  for (const name in after) {
    const value = after[name];
    if (value !== undefined && before?.[name] !== value) changed.push([name, value]);
  }
  return changed;
}

interface Stored {
  readonly bytes: number;
  readonly indexEntry: Item | undefined;
}

/** What is stored by one write is found by the next. */
const stored = new WeakMap<Fields, Stored>();

function measure(id: string, fields: Fields): Stored {
  const item = recordItem(id, fields);
  return { bytes: itemBytes(item), indexEntry: indexEntry(item) };
}

/** The same as measuring all of it, for less; `undefined` when it moves in the index. */
function nextStored(
  { bytes, indexEntry }: Stored,
  before: Fields,
  after: Fields,
  changed: Changed,
): Stored | undefined {
  if (placing.some((name) => before[name] !== after[name])) return undefined;
  let sum = bytes;
  for (const [name, value] of changed) sum += fieldBytes(name, value) - fieldBytes(name, before[name]);
  for (const name in before) if (after[name] === undefined) sum -= fieldBytes(name, before[name]);
  return { bytes: sum, indexEntry };
}

/** What an entry of the index is made of. */
const placing = [field.status, field.workflow, field.fingerprint, field.createdAt];

function fieldBytes(name: string, value: Fields[string] | undefined): number {
  return value === undefined ? 0 : itemBytes({ [attributeOf(name)]: attributeValue(value) });
}

const { partitionKey, sortKey, statusIndex } = tableSchema;
const indexKeys = [statusIndex.partitionKey, statusIndex.sortKey];

/** Keys only. */
function indexEntry(item: Item): Item | undefined {
  if (item[statusIndex.partitionKey] === undefined) return undefined;
  const names = [partitionKey, sortKey, ...indexKeys];
  return Object.fromEntries(names.flatMap((name) => (item[name] === undefined ? [] : [[name, item[name]]])));
}

function partOf(before: Fields | undefined, changed: Changed): Part {
  if (before === undefined) return "start";
  const moved = changed.filter(([name]) => /^[su]\d+$/.test(name));
  if (moved.length === 0) return "other writes";
  const begins = moved.some(([name, text]) => {
    const after = decodeStep(String(text));
    const was = decodeStep(String(before[name] ?? ""));
    return after?.status === "running" && !(was?.status === "running" && was.owner === after.owner);
  });
  if (begins) return "claim";
  const isRenewal = moved.every(([, text]) => decodeStep(String(text))?.status === "running");
  return isRenewal ? "other writes" : "commit";
}

/** Parts of maps are Pawl's own runs: nobody else would bill them so. */
function workOf(part: Part, changed: Changed, before: Fields | undefined): Partial<WorkDone> {
  const payloadBytes = changed
    .filter(([name, value]) => /^(i|o\d+)$/.test(name) && !String(value).startsWith("@"))
    .reduce((sum, [, value]) => sum + Buffer.byteLength(String(value)), 0);
  if (part === "claim") return { attempts: 1, payloadBytes };
  if (part === "commit") return { attempts: unclaimedAttempts(changed, before), payloadBytes };
  if (part !== "start") return { payloadBytes };
  const set = Object.fromEntries(changed);
  const link = set[field.parent];
  if (link === undefined) return { payloadBytes };
  if (!isShard(set)) return { children: 1, payloadBytes };
  // The step of a part that starts a part of its own has no work but that.
  return isShard({ [field.fingerprint]: fingerprintOfLink(String(link)) }) ? { attempts: -1 } : { maps: 1 };
}

/** Those of which the commit is the first write. */
function unclaimedAttempts(changed: Changed, before: Fields | undefined): number {
  return changed.filter(([name, text]) => {
    if (!/^s\d+$/.test(name)) return false;
    const was = decodeStep(String(before?.[name] ?? ""));
    return was?.status !== "running" && (decodeStep(String(text))?.attempt ?? 0) > (was?.attempt ?? 0);
  }).length;
}

/** Whether the run is a part of a map. */
export function isShard(fields: Fields): boolean {
  return parseShardFingerprint(String(fields[field.fingerprint])) !== undefined;
}

/** Behind five fields, of which none has a dot. */
function fingerprintOfLink(link: string): string {
  return link.split(".").slice(5).join(".");
}

/** What the lifecycle function does of a change of the run's status. */
function countStatus(
  counter: Counter,
  { runId, before, after }: RunChange,
  { changesAtOnce }: Pick<Assumptions, "changesAtOnce">,
  nowMs: number,
): void {
  const [was, is] = [before === undefined ? undefined : decodeRun(runId, before), decodeRun(runId, after)];
  const lambdaGbSeconds = gbSecondsOf({ memoryMb: lifecycleMemoryMb, invocationMs: lifecycleMs });
  counter.add("events", {
    events: 1,
    lambdaRequests: 1 / changesAtOnce,
    lambdaGbSeconds: lambdaGbSeconds / changesAtOnce,
  });
  const projected = projectChange({ second: Math.floor(nowMs / 1000), before: was, after: is });
  if (projected === undefined) return;
  // A transaction costs twice. It has one row for all changes of a second, and rows of counts that changes of one workflow share.
  const failures = projected.gone === undefined && projected.seen === undefined ? 0 : 1;
  const shared = 2 * (1 + new Set(projected.counts.map(({ day }) => day)).size);
  counter.add("lists and counts", {
    tableWrites: projected.entries.length + 2 * failures + shared / changesAtOnce,
  });
}

const lifecycleMemoryMb = 512;
const lifecycleMs = 100;
