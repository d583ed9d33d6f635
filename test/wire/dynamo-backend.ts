// What an engine in virtual time needs of a store over the wire: a table of its own, the order of its changes, and to
// know when nothing is on its way.
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { bounded } from "../../lib/aws/bounded.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import { limits } from "../../lib/definition/limits.ts";
import type { BackendOptions, EmbeddedBackend, RunChange } from "../../lib/embedded/backend.ts";
import { createFeed } from "../../lib/embedded/change-feed.ts";
import { keepChangesInMemory } from "../../lib/embedded/kept-changes.ts";
import { MemoryIndex } from "../../lib/embedded/memory-index.ts";
import { createMemoryMessages } from "../../lib/embedded/memory-messages.ts";
import { createRunTallies } from "../../lib/embedded/run-tallies.ts";
import { createMemorySecrets } from "../../lib/embedded/secrets.ts";
import { createExpiry } from "../../lib/embedded/sqlite-expiry.ts";
import { createRunLists } from "../../lib/embedded/sqlite-run-lists.ts";
import { field } from "../../lib/engine/codec.ts";
import type { Fields } from "../../lib/engine/transition.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { createTable } from "./aws.ts";

const onTheWay = new Set<Promise<unknown>>();

/** Until every answer has come, and nothing that came of it asks for more. */
export async function atRestOnTheWire(): Promise<void> {
  for (;;) {
    await atRest();
    if (onTheWay.size === 0) return;
    await Promise.allSettled(onTheWay);
  }
}

type Send = () => Promise<unknown>;

/** Stands between the client and DynamoDB; what it throws is not repeated. */
export type Disturbance = (send: Send, isWrite: boolean) => Promise<unknown>;

/** The answer to every write is lost, and the SDK sends it again: without its pauses, of which virtual time knows nothing. */
export const loseAnswers: Disturbance = async (send, isWrite) => {
  if (isWrite) await send().catch(() => undefined);
  return send();
};

function disturb(client: DynamoDBClient, disturbance: Disturbance): void {
  client.middlewareStack.add(
    (next, { commandName = "" }) =>
      async (args) =>
        (await disturbance(() => next(args), ["UpdateItemCommand", "PutItemCommand"].includes(commandName))) as Awaited<
          ReturnType<typeof next>
        >,
    // Around the reading of the answer: one that is not read keeps its connection.
    { step: "deserialize", priority: "high", name: "disturb" },
  );
}

function counted<Args extends unknown[], T>(call: (...args: Args) => Promise<T>): (...args: Args) => Promise<T> {
  return async (...args) => {
    const answer = call(...args);
    onTheWay.add(answer);
    try {
      return await answer;
    } finally {
      onTheWay.delete(answer);
    }
  };
}

/** Runs in an empty table, messages in memory. */
export async function openDynamoBackend(
  { clock, logger }: BackendOptions,
  disturbance?: Disturbance,
): Promise<EmbeddedBackend> {
  // Patient: on a busy machine, hundreds of requests at a time wait for the emulator.
  const client = new DynamoDBClient(bounded(limits.requestTries, 30_000));
  const table = await createTable(client);
  if (disturbance !== undefined) disturb(client, disturbance);
  const store = createDynamoStore({ client, table: table.name });
  const changes = createFeed<RunChange>("run changes", logger);
  const arrivals = createFeed("message arrivals", logger);
  const images = new Map<string, Fields>();
  const index = new MemoryIndex(images);
  const kept = keepChangesInMemory(() => undefined);

  /** Answers may overtake each other: an image from before a status change that is known already is no news. */
  function seen(runId: string, after: Fields): void {
    const before = images.get(runId);
    if (Number(after[field.changes] ?? 0) < Number(before?.[field.changes] ?? 0)) return;
    images.set(runId, after);
    index.change(runId, before, after);
    kept.change(runId, before, after);
    changes.publish({ runId, before, after });
  }

  return {
    ...createMemorySecrets(() => undefined),
    ...createMemoryMessages(clock, arrivals.publish, () => undefined),
    update: counted(async (runId, transition) => {
      const result = await store.update(runId, transition);
      // A refusal may be the first that is heard of our own write.
      if (result.fields !== undefined) seen(runId, result.fields);
      return result;
    }),
    remove: counted(async (runId, guard) => {
      const before = images.get(runId);
      const isGone = await store.remove(runId, guard);
      if (isGone && before !== undefined) {
        images.delete(runId);
        index.change(runId, before, undefined);
        index.removals.beginRemoval(runId, before);
      }
      return isGone;
    }),
    removeRest: counted(async (runId) => {
      await store.removeRest(runId);
      index.removals.endRemoval(runId);
    }),
    get: counted(store.get),
    load: counted(store.load),
    putPayload: counted(store.putPayload),
    getPayloads: counted(store.getPayloads),
    putGraph: counted(store.putGraph),
    getGraph: counted(store.getGraph),
    // Who reads the stream keeps the index of a table; here nobody does.
    ...createRunLists(
      async (ask) => ask(index.lists()),
      () => undefined,
    ),
    ...createExpiry(async (ask) => ask(index.expiry())),
    ...createRunTallies(index.tallies, async (ask) => ask()),
    // An engine begins with an empty table: there is nothing to audit.
    openRuns: { page: async () => ({ runIds: [], cursor: undefined }) },
    keptChanges: kept.port,
    onMessage: arrivals.subscribe,
    onChange: changes.subscribe,
    async close() {
      client.middlewareStack.remove("disturb");
      await table.delete();
      client.destroy();
      index.close();
    },
  };
}
