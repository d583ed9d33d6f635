/**
 * Audits what a former process left behind. Within one process no message is lost: they are stored with the runs, and a
 * start that was held up notices. So one audit is enough, and an engine that began with no open run needs none.
 */
import { limits } from "../definition/limits.ts";
import type { Audit } from "../runtime/audit.ts";
import type { Clock, Logger, OpenRuns } from "../runtime/ports.ts";

export interface AuditAfterStartOptions {
  readonly audit: Audit;
  readonly openRuns: OpenRuns;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A timer that fires later than this was held up: the machine has slept, and everything else is late as well. */
const heldUpMs = 60_000;

/**
 * To be called before anything is started. The audit comes when whatever is still in flight has had its time; what was to
 * happen while nothing ran is not late.
 *
 * @returns what ends it; resolves when no audit is under way any more
 */
export async function auditAfterStart(options: AuditAfterStartOptions): Promise<() => Promise<void>> {
  const { audit, openRuns, clock, logger } = options;
  let underWay: Promise<void> = Promise.resolve();
  let cancelTimer = (): void => undefined;
  let isStopped = false;

  function schedule(): void {
    const upSinceMs = clock.now();
    const dueAtMs = upSinceMs + limits.auditAfterMs + 1;
    const fire = (): void => {
      if (clock.now() - dueAtMs > heldUpMs) schedule();
      else underWay = auditAll(upSinceMs);
    };
    // It is no reason for a process to stay.
    cancelTimer = clock.after(dueAtMs - upSinceMs, fire, false);
  }

  async function auditAll(upSinceMs: number): Promise<void> {
    try {
      let cursor: string | undefined;
      do ({ cursor } = await audit({ cursor, upSinceMs }));
      while (cursor !== undefined && !isStopped);
    } catch (error) {
      if (!isStopped) logger.error("The audit of open runs failed; the next start makes up for it", { error });
    }
  }

  if ((await openRuns.page(undefined)).runIds.length > 0) schedule();
  return () => {
    isStopped = true;
    cancelTimer();
    return underWay;
  };
}
