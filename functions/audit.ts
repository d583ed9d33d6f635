/** Looks at all open runs, and sets those going again that should have moved long ago. */
import type { Context } from "aws-lambda";
import { limits } from "../lib/definition/limits.ts";
import type { Audit, Audited } from "../lib/runtime/audit.ts";
import type { Clock } from "../lib/runtime/ports.ts";
import type { FunctionLogger } from "./logger.ts";
import type { StackMetrics } from "./metrics.ts";

export interface AuditParts {
  readonly audit: Audit;
  /** Deletes reply queues of processes that are gone; how many. */
  readonly removeOrphans: () => Promise<number>;
  readonly clock: Clock;
  readonly logger: FunctionLogger;
  readonly metrics: StackMetrics;
}

/** What it answers is for whoever invokes it by hand. */
export type AuditHandler = (event: unknown, context: Context) => Promise<Pick<Audited, "seen" | "stuck">>;

export function auditHandler(parts: () => AuditParts): AuditHandler {
  // Where the former invocation in this environment had to stop.
  let cursor: string | undefined;
  return async (_event, context) => {
    const { audit, removeOrphans, clock, logger, metrics } = parts();
    logger.begin(context);
    let [seen, stuck, longestMs] = [0, 0, 0];
    do {
      const beganAtMs = clock.now();
      const part = await audit({ cursor });
      longestMs = Math.max(longestMs, clock.now() - beganAtMs);
      seen += part.seen;
      stuck += part.stuck;
      cursor = part.cursor;
    } while (cursor !== undefined && context.getRemainingTimeInMillis() > 2 * longestMs + limits.farewellMs);
    if (cursor !== undefined) {
      logger.warn("the audit did not get to all open runs; the next one goes on from there", { seen });
    }
    metrics.count({ OpenRuns: seen, StuckRuns: stuck });
    try {
      const removed = await removeOrphans();
      if (removed > 0) logger.info("reply queues of processes that are gone were deleted", { removed });
    } catch (error) {
      // They cost nothing; the next audit makes up for it.
      logger.warn("reply queues of processes that are gone could not be deleted", { error });
    }
    return { seen, stuck };
  };
}
