/**
 * The engine's own guard against circles. Lambda's loop detection is switched off for it, as every chain of steps looks
 * like a loop from outside; so each message tells how many before it, in a row, have changed nothing.
 *
 * Only messages that are sent at once count: one that waits first runs away with nobody, and the timers of a wait that is
 * prolonged again and again follow each other without a write of their own.
 */
import { limits } from "../definition/limits.ts";
import type { Message } from "../engine/message.ts";
import type { Ports } from "./ports.ts";

/** Why the message is not handled any more; `undefined` for every other one. */
export function runawayReason({ hops = 0 }: Message): string | undefined {
  if (hops <= limits.hops) return undefined;
  return `${hops} messages in a row have changed nothing, and at most ${limits.hops} are allowed: they follow each other in a circle. This is a fault of Pawl's, or somebody sends messages to its queues.`;
}

/** Ports for the handling of this one message: what is sent through them counts as sent because of it. */
export function countHops({ store, queue, ...ports }: Ports, { hops = 0 }: Message): Ports {
  let hasWritten = false;
  return {
    ...ports,
    store: {
      remove: (runId, guard) => store.remove(runId, guard),
      removeRest: (runId) => store.removeRest(runId),
      get: (runId) => store.get(runId),
      load: (runId) => store.load(runId),
      putPayload: (runId, key, json) => store.putPayload(runId, key, json),
      getPayloads: (runId, keys) => store.getPayloads(runId, keys),
      putGraph: (workflow, fingerprint, json) => store.putGraph(workflow, fingerprint, json),
      getGraph: (workflow, fingerprint) => store.getGraph(workflow, fingerprint),
      async update(runId, transition, told) {
        const result = await store.update(runId, transition, told);
        hasWritten ||= result.applied;
        return result;
      },
    },
    queue: {
      send: (messages) => {
        if (hasWritten) return queue.send(messages);
        const counted = messages.map((outgoing) => {
          const next = outgoing.delayMs > 0 ? hops : hops + 1;
          return next === 0 ? outgoing : { ...outgoing, message: { ...outgoing.message, hops: next } };
        });
        return queue.send(counted);
      },
    },
  };
}
