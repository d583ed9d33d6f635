/**
 * What AWS would bill for what an embedded engine does. Each call of its storage is counted as the requests that the
 * adapters of `lib/aws` make of it, with the items and messages that they would send; nothing more is asked of anybody.
 *
 * What depends on the stack, and on what else happens there, is assumed: `assumptions.ts`.
 */
import { recordItem } from "../aws/dynamo-requests.ts";
import { itemKey, tableSchema } from "../aws/table.ts";
import { limits } from "../definition/limits.ts";
import type { EmbeddedBackend } from "../embedded/backend.ts";
import { isBarred } from "../engine/barred.ts";
import { parentRunId } from "../engine/child.ts";
import { isRunId } from "../engine/record-id.ts";
import type { Fields } from "../engine/transition.ts";
import type { BlobStore, Clock, OutgoingMessage } from "../runtime/ports.ts";
import { type Assumptions, gbSecondsOf } from "./assumptions.ts";
import { countChange, isShard, writeUsage } from "./change-usage.ts";
import { InHand } from "./in-hand.ts";
import type { WorkDone } from "./peers.ts";
import { chunks, type Item, itemBytes, readUnits, writeUnits } from "./units.ts";
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

/** Takes what is counted. */
export interface Counter {
  add(part: Part, usage: Partial<Usage>): void;
  addWork(done: Partial<WorkDone>): void;
}

export class Meter implements Counter {
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

export interface Metering {
  /** Where what happens to a record is counted: a run, or what runs share. */
  readonly counterOf: (id: string) => Counter;
  readonly assumptions: Pick<Assumptions, "memoryMb" | "changesAtOnce"> & {
    /** @default as long as they take here */
    readonly invocationMs?: number;
  };
  readonly clock: Pick<Clock, "now">;
  /** Keeps what is being worked on. */
  readonly inHand?: InHand;
}

/**
 * The same storage, metered. Of what runs share, such as turns and rates, the record itself is billed. What is written by
 * a call is counted before it, so that who keeps the counts can keep them with that write.
 */
export function meterBackend(
  backend: EmbeddedBackend,
  { counterOf, assumptions, clock, inHand = new InHand() }: Metering,
): EmbeddedBackend {
  /** Of what runs share: what was stored before, by what is stored after a write. */
  const beforeOf = new WeakMap<Fields, Fields | undefined>();
  backend.onChange(({ runId, before, after }) => {
    if (!isRunId(runId)) beforeOf.set(after, before);
  });
  backend.runTallies.keep((runId, before, after) => {
    if (after !== undefined) countChange(counterOf(runId), { runId, before, after }, assumptions, clock.now());
  });

  /** What becomes of a delivery, in so many requests; its worker is done. */
  const settle = (receipt: string, requestsOf: (body: unknown) => number): void => {
    const delivery = inHand.get(receipt);
    const counter = counterOf(delivery?.runId ?? "");
    counter.add("messages", { sqsRequests: requestsOf(delivery?.body) });
    if (delivery === undefined) return;
    const invocationMs = assumptions.invocationMs ?? Math.ceil(clock.now() - delivery.sinceMs);
    counter.add("workers", { lambdaGbSeconds: gbSecondsOf({ memoryMb: assumptions.memoryMb, invocationMs }) });
  };

  return {
    ...backend,
    async update(id, transition) {
      const result = await backend.update(id, transition);
      if (!result.applied) {
        const bytes = result.fields === undefined ? 0 : itemBytes(recordItem(id, result.fields));
        counterOf(id).add("refused writes", { tableWrites: writeUnits(bytes) });
      } else if (!isRunId(id)) {
        counterOf(id).add("other writes", writeUsage(id, beforeOf.get(result.fields), result.fields));
      } else if (isBarred(result.fields)) {
        // There is no run, and never was.
        counterOf(parentRunId(id)).add("other writes", writeUsage(id, undefined, result.fields));
      }
      return result;
    },
    async get(id) {
      const fields = await backend.get(id);
      const bytes = fields === undefined ? 0 : itemBytes(recordItem(id, fields));
      counterOf(id).add("reads", { reads: readUnits(bytes) });
      return fields;
    },
    async load(id) {
      const loaded = await backend.load(id);
      // Workers read so the shards of a map; whoever looks at a run reads all of it, too.
      if (loaded === undefined || !isShard(loaded.fields)) return loaded;
      const beside = [...loaded.payloads].map(([key, json]) => itemBytes(payloadItem(id, key, json)));
      const bytes = beside.reduce((sum, one) => sum + one, itemBytes(recordItem(id, loaded.fields)));
      counterOf(id).add("reads", { reads: readUnits(bytes) });
      return loaded;
    },
    async putPayload(id, key, json) {
      const counter = counterOf(id);
      if (/^(in|out)#/.test(key)) counter.addWork({ payloadBytes: Buffer.byteLength(json) });
      counter.add("payloads", { tableWrites: textWrites(id, key, json) });
      return backend.putPayload(id, key, json);
    },
    async getPayloads(id, keys) {
      const found = await backend.getPayloads(id, keys);
      const reads = keys.map((key) =>
        readUnits(found.has(key) ? itemBytes(payloadItem(id, key, found.get(key) ?? "")) : 0),
      );
      counterOf(id).add("reads", { reads: reads.reduce((sum, one) => sum + one, 0) });
      return found;
    },
    async send(messages) {
      for (const [runId, usage] of sendUsage(messages)) counterOf(runId).add("messages", usage);
      return backend.send(messages);
    },
    async receive(max, visibilityMs) {
      const received = await backend.receive(max, visibilityMs);
      for (const { receipt, body } of received) {
        const { runId } = inHand.take(receipt, body, clock.now());
        const counter = counterOf(runId);
        counter.add("messages", { sqsRequests: chunks(bytesOf(body)) });
        counter.add("workers", { lambdaRequests: 1 });
      }
      return received;
    },
    async acknowledge(receipt) {
      settle(receipt, () => 1);
      return inHand.drop(receipt, backend.acknowledge(receipt));
    },
    async redeliver(receipt, delayMs, because) {
      // One that failed is hidden for a pause. One that is asked to come again is a copy, and the original is deleted.
      settle(receipt, (body) => (because === "failed" ? 1 : chunks(bytesOf(body)) + 1));
      return inHand.drop(receipt, backend.redeliver(receipt, delayMs, because));
    },
    async deadLetter(receipt, reason) {
      // SQS moves it by itself.
      settle(receipt, () => 0);
      return inHand.drop(receipt, backend.deadLetter(receipt, reason));
    },
    async extend(receipt, visibleInMs) {
      counterOf(inHand.get(receipt)?.runId ?? "").add("messages", { sqsRequests: 1 });
      return backend.extend(receipt, visibleInMs);
    },
  };
}

/** The same blobs, metered: each is an object of S3. Keys begin with the id of their run, and `/`. */
export function meterBlobs(blobs: BlobStore, counterOf: Metering["counterOf"]): BlobStore {
  const runIdOf = (key: string): string => key.slice(0, key.indexOf("/"));
  return {
    ...blobs,
    async put(key, text) {
      await blobs.put(key, text);
      counterOf(runIdOf(key)).add("payloads", { s3Puts: 1 });
    },
    async get(key) {
      counterOf(runIdOf(key)).add("reads", { s3Gets: 1 });
      return blobs.get(key);
    },
  };
}

function payloadItem(id: string, key: string, json: string): Item {
  const { partitionKey, sortKey } = tableSchema;
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

/**
 * Batches of up to ten to one queue; what is far off is a schedule, which sends its message by itself. By the run that is
 * named: messages that go together share their request.
 */
function sendUsage(messages: readonly OutgoingMessage[]): (readonly [runId: string, usage: Partial<Usage>])[] {
  const later = messages.filter(({ delayMs }) => delayMs > limits.queueDelayMs);
  const soon = messages.filter(({ delayMs }) => delayMs <= limits.queueDelayMs);
  const batches = [...Map.groupBy(soon, ({ taskQueue }) => taskQueue).values()].flatMap((ofQueue) =>
    Array.from({ length: Math.ceil(ofQueue.length / 10) }, (_, at) => ofQueue.slice(at * 10, at * 10 + 10)),
  );
  const sent = [...batches, ...later.map((one) => [one])].flatMap((batch) => {
    const requests = chunks(batch.reduce((sum, { message }) => sum + bytesOf(message), 0));
    const byRun = Map.groupBy(batch, ({ message }) => message.runId);
    return [...byRun].map(([runId, own]) => [runId, { sqsRequests: (requests * own.length) / batch.length }] as const);
  });
  return [...sent, ...later.map(({ message }) => [message.runId, { schedules: 1 }] as const)];
}

function bytesOf(body: unknown): number {
  return Buffer.byteLength(typeof body === "string" ? body : JSON.stringify(body));
}
