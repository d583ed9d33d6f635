/**
 * Passes on the status changes that are kept, and drops each when that has succeeded. What a former process left is passed
 * on first; what cannot be passed on now is tried again.
 */
import * as z from "zod";
import { limits } from "../definition/limits.ts";
import { field } from "../engine/codec.ts";
import { lifecycleEvent, type RunStatusChange } from "../engine/lifecycle.ts";
import { isListed } from "../engine/projection.ts";
import { isRunId } from "../engine/record-id.ts";
import { runStatuses } from "../engine/run-state.ts";
import type { Fields } from "../engine/transition.ts";
import type { Clock, Logger } from "../runtime/ports.ts";
import { settleAll } from "../runtime/settle-all.ts";
import type { EmbeddedBackend, KeptChange } from "./backend.ts";

export interface PassOnOptions {
  readonly backend: Pick<EmbeddedBackend, "keptChanges" | "onChange">;
  /** Tells of a change, again when it is repeated. */
  readonly tell: (change: RunStatusChange) => Promise<void>;
  readonly isTold: (change: RunStatusChange) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Shards of maps are nothing that a user has started. */
function isOfUser(runId: string, fields: Fields): boolean {
  return isRunId(runId) && isListed({ fingerprint: String(fields[field.fingerprint]) });
}

const Kept = z.object({
  id: z.string(),
  runId: z.string(),
  workflow: z.string(),
  status: z.enum(runStatuses),
  previous: z.exactOptional(z.enum(runStatuses)),
  time: z.iso.datetime(),
}) satisfies z.ZodType<RunStatusChange>;

function parseChange(json: string): RunStatusChange | undefined {
  try {
    return Kept.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}

/** To be called before anything changes a run. @returns what ends it; resolves when nothing is under way any more */
export function passOnChanges({ backend, tell, isTold, clock, logger }: PassOnOptions): () => Promise<void> {
  const { keptChanges } = backend;
  let underWay: Promise<void> | undefined;
  let isAskedAgain = false;
  let isStopped = false;
  let cancelRetry = (): void => undefined;

  keptChanges.keep((runId, before, after) => {
    const event = after !== undefined && isOfUser(runId, after) ? lifecycleEvent(runId, before, after) : undefined;
    if (event === undefined) return undefined;
    const seconds = Math.floor(clock.now() / 1_000);
    const change: RunStatusChange = { ...event, time: new Date(seconds * 1_000).toISOString() };
    return isTold(change) ? JSON.stringify(change) : undefined;
  });

  function wake(): void {
    isAskedAgain = true;
    if (isStopped || underWay !== undefined) return;
    cancelRetry();
    underWay = passOnAll().finally(() => {
      underWay = undefined;
      // One that came when the last round had looked for more already.
      if (isAskedAgain) wake();
    });
  }

  async function passOnAll(): Promise<void> {
    try {
      while (isAskedAgain) {
        isAskedAgain = false;
        for (let kept = await next(); kept.length > 0; kept = await next()) {
          await settleAll(kept.map(passOn));
        }
      }
    } catch (error) {
      if (isStopped) return;
      logger.error("Webhooks could not be told of status changes; it is tried again", { error });
      cancelRetry = clock.after(limits.keptChangeRetryMs, wake);
    }
  }

  async function next(): Promise<readonly KeptChange[]> {
    return isStopped ? [] : keptChanges.oldest(limits.keptChanges);
  }

  async function passOn({ id, json }: KeptChange): Promise<void> {
    const change = parseChange(json);
    // The others must not wait for what nobody can pass on.
    if (change === undefined) logger.error("A status change that was kept is damaged; nobody is told of it", { id });
    else await tell(change);
    await keptChanges.drop(id);
  }

  const unsubscribe = backend.onChange(({ before, after, runId }) => {
    if (lifecycleEvent(runId, before, after) !== undefined) wake();
  });
  wake();
  return async () => {
    isStopped = true;
    unsubscribe();
    cancelRetry();
    await underWay;
  };
}
