/** Lifecycle events on EventBridge: `{ source: "pawl", "detail-type": "Pawl Run Status Change", detail: RunStatusChange }`. */
import {
  type EventBridgeClient,
  PutEventsCommand,
  type PutEventsCommandInput,
  type PutEventsRequestEntry,
} from "@aws-sdk/client-eventbridge";
import type { RunStatusChange } from "../engine/lifecycle.ts";
import type { Clock, Randomness } from "../runtime/ports.ts";
import { type Refusal, sendEntries } from "./entries.ts";

const eventSource = "pawl";
const eventDetailType = "Pawl Run Status Change";

/** What PutEvents takes at once. Ten of our events stay far below its 256 KB: ids and names are short. */
const batchEntries = 10;

export function eventBatches(events: readonly RunStatusChange[], bus: string): PutEventsCommandInput[] {
  const entries = events.map(
    (detail): PutEventsRequestEntry => ({
      EventBusName: bus,
      Source: eventSource,
      DetailType: eventDetailType,
      Time: new Date(detail.time),
      Detail: JSON.stringify(detail),
    }),
  );
  return Array.from({ length: Math.ceil(entries.length / batchEntries) }, (_, batch) => {
    const from = batch * batchEntries;
    return { Entries: entries.slice(from, from + batchEntries) };
  });
}

export interface Publication {
  /** So many from the beginning are published. Some of those behind may be, too. */
  readonly published: number;
  /** Why the next one is not. */
  readonly error?: Error;
}

/** Publishes them in their order, and stops where that fails. */
export async function publishEvents(
  client: EventBridgeClient,
  bus: string,
  events: readonly RunStatusChange[],
  waits: { readonly clock: Clock; readonly random: Randomness },
): Promise<Publication> {
  let published = 0;
  for (const { Entries = [] } of eventBatches(events, bus)) {
    try {
      const refusals = await sendEntries(Entries, (entries) => putEntries(client, entries), waits);
      if (refusals.length > 0) {
        const [first] = refusals.toSorted((a, b) => a.index - b.index);
        return { published: published + (first?.index ?? 0), error: new UnpublishedEventError(bus, refusals) };
      }
    } catch (error) {
      return { published, error: error instanceof Error ? error : new Error(String(error)) };
    }
    published += Entries.length;
  }
  return { published };
}

async function putEntries(client: EventBridgeClient, entries: readonly PutEventsRequestEntry[]): Promise<Refusal[]> {
  const answer = await client.send(new PutEventsCommand({ Entries: [...entries] }));
  // Answers stand in the order of the entries; only one with an id was taken.
  return entries.flatMap((_, index): Refusal[] => {
    const result = answer.Entries?.[index];
    if (result?.EventId !== undefined) return [];
    return [{ index, code: result?.ErrorCode ?? "NoAnswer", message: result?.ErrorMessage ?? "", isFinal: false }];
  });
}

/** EventBridge did not take events, at each of `limits.batchTries` tries. The stream brings them again. */
class UnpublishedEventError extends Error {
  override readonly name = "UnpublishedEventError";

  constructor(bus: string, refusals: readonly Refusal[]) {
    const causes = new Set(refusals.map(({ code, message }) => `${code} ${message}`.trim()));
    super(`${refusals.length} events were not taken by bus ${bus}: ${[...causes].join("; ")}`);
  }
}
