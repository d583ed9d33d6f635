/** What an ended run would have cost on AWS, as one line beside what is shown of it. */
import type { RunCost, RunMeter } from "../cost/run-meter.ts";
import { isTerminal } from "../engine/run-state.ts";
import { withinMs } from "../runtime/attempt.ts";
import type { Clock, Logger } from "../runtime/ports.ts";
import type { UnderWay } from "../runtime/under-way.ts";
import type { NamedUpdate } from "./run-feed.ts";
import { formatDollars } from "./text.ts";

export interface CostLinesOptions {
  readonly meter: Pick<RunMeter, "costOf" | "settled">;
  readonly print: (line: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Keeps what is still to be told, for whoever closes what is printed to. */
  readonly underWay: UnderWay;
}

/** Of one workflow, no line comes sooner after another: its runs cost much the same. */
const pauseMs = 1_000;
/** What an ended run leaves to be done takes no time, unless its code hangs. */
const settleMs = 1_000;
const messageMs = 20;

/** Returns what takes the updates of runs. Of runs that others have started nothing is told: they are billed with those. */
export function createCostLines(options: CostLinesOptions): (update: NamedUpdate) => void {
  const { clock, underWay } = options;
  const toldAtMs = new Map<string, number>();
  return ({ before, after }) => {
    const { runId, workflow, parent, status } = after;
    const ends = isTerminal(status) && before !== undefined && !isTerminal(before.status);
    const nowMs = clock.now();
    if (!ends || parent !== undefined || nowMs - (toldAtMs.get(workflow) ?? -Infinity) < pauseMs) return;
    toldAtMs.set(workflow, nowMs);
    underWay.add(tell(runId, options));
  };
}

async function tell(runId: string, { meter, print, clock, logger }: CostLinesOptions): Promise<void> {
  try {
    await withinMs(clock, settleMs, meter.settled(runId));
    // Whoever gives back the run's turn has a message of its own, which comes at once.
    await withinMs(clock, messageMs, new Promise(() => undefined));
    await withinMs(clock, settleMs, meter.settled(runId));
    const cost = await meter.costOf(runId);
    if (cost !== undefined) print(costLine(cost));
  } catch (error) {
    // The run has ended, and its cost can be asked for again.
    logger.debug("What a run costs could not be told", { error, runId });
  }
}

/** `  on AWS: $32.20 for a million runs like order-1 (DynamoDB $18.20, SQS $12.00, …)` */
export function costLine({ runId, dollars, isWhole, services }: RunCost): string {
  const byService = Object.entries(services).map(([service, own]) => `${service} ${formatDollars(own)}`);
  const atLeast = isWhole ? "" : "at least ";
  return `  on AWS: ${atLeast}${formatDollars(dollars)} for a million runs like ${runId} (${byService.join(", ")})`;
}
