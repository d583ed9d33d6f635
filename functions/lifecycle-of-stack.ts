/** The handler of a stack's stream, with all that it needs. Loaded when it is asked for. */
import { createDynamoClient } from "../lib/aws/clients.ts";
import { createEventBridgeClient } from "../lib/aws/event-bridge-client.ts";
import { createProjections } from "../lib/aws/projections.ts";
import { createRemoval } from "../lib/runtime/removal.ts";
import { type LifecycleHandler, type LifecycleParts, lifecycleHandler } from "./lifecycle.ts";
import { once } from "./once.ts";
import type { Stack } from "./stack.ts";
import { allWorkflows, metricsOf, systemOf } from "./upkeep.ts";

export function createLifecycleOf(stack: Stack): LifecycleHandler {
  return lifecycleHandler(
    once((): LifecycleParts => {
      const own = { logger: stack.logger(), metrics: metricsOf(stack), eventBus: stack.name("eventBus") };
      const { ports } = stack.connection();
      const { clock, random, store } = ports;
      const { table } = stack.address();
      const system = systemOf(stack);
      const removal = createRemoval({ workflows: allWorkflows(stack, system), ports });
      return {
        ...own,
        eventBridge: createEventBridgeClient(),
        projections: createProjections({ client: createDynamoClient(), table, clock, random }),
        tell: system.tell,
        afterRemoval: ({ runId, fields }) => removal.afterRemove(runId, fields),
        store,
        clock,
        random,
      };
    }),
  );
}
