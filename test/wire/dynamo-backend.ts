// What an engine in virtual time needs of a store over the wire: a table of its own, the order of its changes, and to
// know when nothing is on its way.
import { createDynamoClient } from "../../lib/aws/clients.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import type { BackendOptions, EmbeddedBackend, RunChange } from "../../lib/embedded/backend.ts";
import { createFeed } from "../../lib/embedded/change-feed.ts";
import { createMemoryMessages } from "../../lib/embedded/memory-messages.ts";
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
export async function openDynamoBackend({ clock, logger }: BackendOptions): Promise<EmbeddedBackend> {
  const client = createDynamoClient();
  const table = await createTable(client);
  const store = createDynamoStore({ client, table: table.name });
  const changes = createFeed<RunChange>("run changes", logger);
  const arrivals = createFeed("message arrivals", logger);
  const images = new Map<string, Fields>();

  /** Answers may overtake each other: an image from before a status change that is known already is no news. */
  function seen(runId: string, after: Fields): void {
    const before = images.get(runId);
    if (Number(after[field.changes] ?? 0) < Number(before?.[field.changes] ?? 0)) return;
    images.set(runId, after);
    changes.publish({ runId, before, after });
  }

  return {
    ...createMemoryMessages(clock, arrivals.publish, () => undefined),
    update: counted(async (runId, transition) => {
      const result = await store.update(runId, transition);
      if (result.applied) seen(runId, result.fields);
      return result;
    }),
    get: counted(store.get),
    load: counted(store.load),
    putPayload: counted(store.putPayload),
    getPayloads: counted(store.getPayloads),
    putGraph: counted(store.putGraph),
    getGraph: counted(store.getGraph),
    openRuns: { page: counted(store.page) },
    onMessage: arrivals.subscribe,
    onChange: changes.subscribe,
    async close() {
      await table.delete();
      client.destroy();
    },
  };
}
