/** What Pawl runs as workflows of its own, beside those of its user: bulk operations and webhooks. */
import type { Workflow } from "../definition/workflow.ts";
import type { RunStatusChange } from "../engine/lifecycle.ts";
import { createCommands } from "../runtime/commands.ts";
import type { Operations } from "../runtime/operations.ts";
import type { Ports } from "../runtime/ports.ts";
import type { RunIndex } from "../runtime/run-index.ts";
import { bulkWorkflow } from "./bulk.ts";
import { createOperations } from "./bulk-operations.ts";
import { type HttpPost, httpPost } from "./http-post.ts";
import { tellWebhooks, webhookWorkflow } from "./webhook.ts";
import { checkWebhooks, type WebhookOptions } from "./webhooks.ts";

export interface SystemParts {
  /** The user's. */
  readonly workflows: readonly Workflow[];
  readonly ports: Ports;
  readonly index: RunIndex;
  /** @default none */
  readonly webhooks?: readonly WebhookOptions[];
  /** @default over the network */
  readonly post?: HttpPost;
}

export interface System {
  /** To be given to workers and audits, beside the user's. To commands they are not: nobody else starts them. */
  readonly workflows: readonly Workflow[];
  readonly operations: Operations;
  /**
   * Tells the webhooks of a status change: when it resolves, their deliveries are under way, once, however often it is
   * called. Absent when there are no webhooks.
   */
  readonly tell?: (change: RunStatusChange) => Promise<void>;
}

/** @throws {TypeError} naming all that is wrong with the webhooks */
export function createSystem({ workflows, ports, index, webhooks = [], post = httpPost }: SystemParts): System {
  const { store, clock, random, logger } = ports;
  const byName = checkWebhooks(webhooks);
  const bulk = bulkWorkflow({ commands: createCommands({ workflows, ports }), index, store, clock });
  const own = [bulk, webhookWorkflow({ webhooks: byName, post, clock })];
  const commands = createCommands({ workflows: own, ports });
  return {
    workflows: own,
    operations: createOperations({ commands, index, store, clock, random }),
    ...(byName.size === 0 ? {} : { tell: (change) => tellWebhooks(byName, { commands, logger }, change) }),
  };
}
