/**
 * What AWS would bill for what an embedded engine does. Each call of its storage is counted as the requests that the
 * adapters of `lib/aws` make of it, with the items and messages that they would send; nothing more is asked of anybody.
 *
 * What depends on the stack, and on what else happens there, is assumed: `assumptions.ts`.
 */
import { recordItem } from "../aws/dynamo-requests.ts";
import { projectChange } from "../aws/projection-writes.ts";
import { itemKey, tableSchema } from "../aws/table.ts";
import { limits } from "../definition/limits.ts";
import { parseShardFingerprint } from "../definition/shards.ts";
import type { EmbeddedBackend, ReceivedMessage } from "../embedded/backend.ts";
import { rootRunId } from "../engine/child.ts";
import { decodeRun, decodeStep, field } from "../engine/codec.ts";
import { isRunId } from "../engine/record-id.ts";
import type { Fields, Transition } from "../engine/transition.ts";
import type { BlobStore, Clock, OutgoingMessage } from "../runtime/ports.ts";
import { type Assumptions, gbSecondsOf } from "./assumptions.ts";
import type { WorkDone } from "./peers.ts";
import { chunks, type Item, indexWriteUnits, itemBytes, readUnits, writeUnits } from "./units.ts";
import { addUsage, noUsage, type Usage } from "./usage.ts";

/** What it was for. */
export const parts = [
  "start",
  "claim",
  "commit",
  "other writes",
  "refused writes",
  "payloads",
  "reads",
  "messages",
  "workers",
  "lists and counts",
  "events",
] as const;
export type Part = (typeof parts)[number];

export class Meter {
  readonly #parts = new Map<Part, Usage>();
  #work: WorkDone = { attempts: 0, maps: 0, children: 0, payloadBytes: 0 };

  add(part: Part, usage: Partial<Usage>): void {
    this.#parts.set(part, addUsage(this.#parts.get(part) ?? noUsage, usage));
  }

  addWork(done: Partial<WorkDone>): void {
    const { attempts = 0, maps = 0, children = 0, payloadBytes = 0 } = done;
    const all = this.#work;
    this.#work = {
      attempts: all.attempts + attempts,
      maps: all.maps + maps,
      children: all.children + children,
      payloadBytes: all.payloadBytes + payloadBytes,
    };
  }

  /** In the order of `parts`. */
  get usage(): ReadonlyMap<Part, Usage> {
    return new Map(parts.flatMap((part) => [[part, this.#parts.get(part) ?? noUsage] as const]));
  }

  get total(): Usage {
    return [...this.#parts.values()].reduce(addUsage, noUsage);
  }

  get work(): WorkDone {
    return this.#work;
  }
}

/** The same storage, metered. Of what runs share, such as turns and rates, the record itself is billed. */
export function meterBackend(
  backend: EmbeddedBackend,
  meter: Meter,
  assumptions: Assumptions,
  clock: Pick<Clock, "now">,
): EmbeddedBackend {
  /** What was stored before, by what is stored after a write. */
  const beforeOf = new WeakMap<Fields, Fields | undefined>();
  const delivered = new Map<string, ReceivedMessage["body"]>();

  backend.onChange(({ runId, before, after }) => {
    beforeOf.set(after, before);
    if (isRunId(runId)) meterChange(meter, runId, before, after, assumptions, clock.now());
  });

  return {
    ...backend,
    async update(id, transition) {
      const result = await backend.update(id, transition);
      if (result.applied) {
        const before = beforeOf.get(result.fields);
        const part = partOf(before, transition);
        if (isRunId(id)) meter.addWork(workOf(part, transition, before));
        meter.add(part, updateUsage(id, before, result.fields));
      } else {
        const bytes = result.fields === undefined ? 0 : itemBytes(recordItem(id, result.fields));
        meter.add("refused writes", { tableWrites: writeUnits(bytes) });
      }
      return result;
    },
    async get(id) {
      const fields = await backend.get(id);
      meter.add("reads", { reads: readUnits(fields === undefined ? 0 : itemBytes(recordItem(id, fields))) });
      return fields;
    },
    async load(id) {
      const loaded = await backend.load(id);
      // Only whoever looks at the run reads all of it; workers read so the runs of a map's items.
      if (rootRunId(id) === id) return loaded;
      const beside = [...(loaded?.payloads ?? [])].map(([key, json]) => itemBytes(payloadItem(id, key, json)));
      const bytes = beside.reduce(
        (sum, one) => sum + one,
        loaded === undefined ? 0 : itemBytes(recordItem(id, loaded.fields)),
      );
      meter.add("reads", { reads: readUnits(bytes) });
      return loaded;
    },
    async putPayload(id, key, json) {
      await backend.putPayload(id, key, json);
      if (/^(in|out)#/.test(key)) meter.addWork({ payloadBytes: Buffer.byteLength(json) });
      meter.add("payloads", { tableWrites: textWrites(id, key, json) });
    },
    async getPayloads(id, keys) {
      const found = await backend.getPayloads(id, keys);
      const reads = keys.map((key) =>
        readUnits(found.has(key) ? itemBytes(payloadItem(id, key, found.get(key) ?? "")) : 0),
      );
      meter.add("reads", { reads: reads.reduce((sum, one) => sum + one, 0) });
      return found;
    },
    async send(messages) {
      await backend.send(messages);
      meter.add("messages", sendUsage(messages));
    },
    async receive(max, visibilityMs) {
      const received = await backend.receive(max, visibilityMs);
      for (const { receipt, body } of received) {
        delivered.set(receipt, body);
        meter.add("messages", { sqsRequests: chunks(bytesOf(body)) });
        meter.add("workers", { lambdaRequests: 1, lambdaGbSeconds: gbSecondsOf(assumptions) });
      }
      return received;
    },
    async acknowledge(receipt) {
      meter.add("messages", { sqsRequests: 1 });
      delivered.delete(receipt);
      return backend.acknowledge(receipt);
    },
    async redeliver(receipt, delayMs, because) {
      const body = delivered.get(receipt);
      delivered.delete(receipt);
      // One that failed is hidden for a pause. One that is asked to come again is a copy, and the original is deleted.
      const sqsRequests = because === "failed" ? 1 : chunks(bytesOf(body)) + 1;
      meter.add("messages", { sqsRequests });
      return backend.redeliver(receipt, delayMs, because);
    },
    async extend(receipt, visibleInMs) {
      meter.add("messages", { sqsRequests: 1 });
      return backend.extend(receipt, visibleInMs);
    },
  };
}

/** The same blobs, metered: each is an object of S3. */
export function meterBlobs(blobs: BlobStore, meter: Meter): BlobStore {
  return {
    ...blobs,
    async put(key, text) {
      await blobs.put(key, text);
      meter.add("payloads", { s3Puts: 1 });
    },
    async get(key) {
      meter.add("reads", { s3Gets: 1 });
      return blobs.get(key);
    },
  };
}

function partOf(before: Fields | undefined, { set }: Transition): Part {
  if (before === undefined) return "start";
  const moved = Object.entries(set).filter(([name]) => /^[su]\d+$/.test(name));
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

function updateUsage(id: string, before: Fields | undefined, after: Fields): Partial<Usage> {
  const was = before === undefined ? undefined : recordItem(id, before);
  const is = recordItem(id, after);
  return {
    tableWrites: writeUnits(Math.max(was === undefined ? 0 : itemBytes(was), itemBytes(is))),
    indexWrites: indexWriteUnits(indexEntry(was), indexEntry(is), indexKeys),
  };
}

const { partitionKey, sortKey, statusIndex } = tableSchema;
const indexKeys = [statusIndex.partitionKey, statusIndex.sortKey];

/** Keys only. */
function indexEntry(item: Item | undefined): Item | undefined {
  if (item?.[statusIndex.partitionKey] === undefined) return undefined;
  const names = [partitionKey, sortKey, ...indexKeys];
  return Object.fromEntries(names.flatMap((name) => (item[name] === undefined ? [] : [[name, item[name]]])));
}

function payloadItem(id: string, key: string, json: string): Item {
  const { pk, sk } = itemKey.payload(id, key);
  return { [partitionKey]: { S: pk }, [sortKey]: { S: sk }, text: { S: json } };
}

/** One item; of a text that is too large to be shown with its run, one more for each part. */
function textWrites(id: string, key: string, json: string): number {
  const bytes = Buffer.byteLength(json);
  if (bytes <= limits.shownPayloadBytes) return writeUnits(itemBytes(payloadItem(id, key, json)));
  const whole = Math.floor(bytes / limits.itemPayloadBytes);
  const rest = bytes % limits.itemPayloadBytes;
  const partUnits = whole * writeUnits(limits.itemPayloadBytes) + (rest === 0 ? 0 : writeUnits(rest));
  return partUnits + 1;
}

/** Batches of up to ten to one queue; what is far off is a schedule, which sends its message by itself. */
function sendUsage(messages: readonly OutgoingMessage[]): Partial<Usage> {
  const later = messages.filter(({ delayMs }) => delayMs > limits.queueDelayMs);
  const soon = messages.filter(({ delayMs }) => delayMs <= limits.queueDelayMs);
  const batches = [...Map.groupBy(soon, ({ taskQueue }) => taskQueue).values()].flatMap((ofQueue) =>
    Array.from({ length: Math.ceil(ofQueue.length / 10) }, (_, at) => ofQueue.slice(at * 10, at * 10 + 10)),
  );
  const sent = [...batches, ...later.map((one) => [one])].map((batch) =>
    chunks(batch.reduce((sum, { message }) => sum + bytesOf(message), 0)),
  );
  return { sqsRequests: sent.reduce((sum, requests) => sum + requests, 0), schedules: later.length };
}

/** What a write says of the work that was done. Parts of maps are Pawl's own runs: nobody else would bill them so. */
function workOf(part: Part, { set }: Transition, before: Fields | undefined): Partial<WorkDone> {
  const payloadBytes = Object.entries(set)
    .filter(([name, value]) => /^(i|o\d+)$/.test(name) && !String(value).startsWith("@"))
    .reduce((sum, [, value]) => sum + bytesOf(value), 0);
  if (part === "claim") return { attempts: 1, payloadBytes };
  if (part === "commit") return { attempts: unclaimedAttempts(set, before), payloadBytes };
  const link = set[field.parent];
  if (part !== "start" || link === undefined) return { payloadBytes };
  const isShard = (fingerprint: string): boolean => parseShardFingerprint(fingerprint) !== undefined;
  if (!isShard(String(set[field.fingerprint]))) return { children: 1, payloadBytes };
  // The step of a part that starts a part of its own has no work but that.
  return isShard(fingerprintOfLink(String(link))) ? { attempts: -1 } : { maps: 1 };
}

/** Those of which the commit is the first write. */
function unclaimedAttempts(set: Fields, before: Fields | undefined): number {
  return Object.entries(set).filter(([name, text]) => {
    if (!/^s\d+$/.test(name)) return false;
    const was = decodeStep(String(before?.[name] ?? ""));
    return was?.status !== "running" && (decodeStep(String(text))?.attempt ?? 0) > (was?.attempt ?? 0);
  }).length;
}

/** Behind five fields, of which none has a dot. */
function fingerprintOfLink(link: string): string {
  return link.split(".").slice(5).join(".");
}

/** What the lifecycle function does of a change of the run's status. */
function meterChange(
  meter: Meter,
  runId: string,
  before: Fields | undefined,
  after: Fields,
  { changesAtOnce }: Assumptions,
  nowMs: number,
): void {
  const [was, is] = [before === undefined ? undefined : decodeRun(runId, before), decodeRun(runId, after)];
  if (was?.status === is.status) return;
  const lambdaGbSeconds = gbSecondsOf({ memoryMb: lifecycleMemoryMb, invocationMs: lifecycleMs });
  meter.add("events", {
    events: 1,
    lambdaRequests: 1 / changesAtOnce,
    lambdaGbSeconds: lambdaGbSeconds / changesAtOnce,
  });
  const projected = projectChange({ second: Math.floor(nowMs / 1000), before: was, after: is });
  if (projected === undefined) return;
  // A transaction costs twice. It has one row for all changes of a second, and rows of counts that changes of one workflow share.
  const failures = projected.gone === undefined && projected.seen === undefined ? 0 : 1;
  const shared = 2 * (1 + new Set(projected.counts.map(({ day }) => day)).size);
  meter.add("lists and counts", {
    tableWrites: projected.entries.length + 2 * failures + shared / changesAtOnce,
  });
}

const lifecycleMemoryMb = 512;
const lifecycleMs = 100;

function bytesOf(body: unknown): number {
  return Buffer.byteLength(typeof body === "string" ? body : JSON.stringify(body));
}
