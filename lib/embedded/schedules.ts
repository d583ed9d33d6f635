/**
 * Starts runs at the times of their workflows' schedules, for as long as the engine is up.
 *
 * Invariants:
 * 1. The time is part of the run's id, so that no time starts two runs, whoever fires it and how often.
 * 2. Times that pass while no engine is up start nothing. One that comes while the machine sleeps fires when it wakes up.
 */
import { deserialize } from "../definition/json.ts";
import { type Schedule, scheduledRunId } from "../definition/schedule.ts";
import type { Workflow } from "../definition/workflow.ts";
import type { Commands } from "../runtime/commands.ts";
import { PawlError } from "../runtime/errors.ts";
import type { Clock, Logger } from "../runtime/ports.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { UnderWay } from "../runtime/under-way.ts";
import { nextTimeMs } from "./next-time.ts";

export interface SchedulesOptions {
  readonly workflows: readonly Workflow[];
  readonly commands: Pick<Commands, "start">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A storage that fails is asked again after this time, until the next run is due. */
const retryMs = 10_000;
const passing: readonly PawlError["code"][] = ["unavailable", "storage_failed"];

/** @returns what ends them; resolves when no run is being started any more */
export function startSchedules({ workflows, commands, clock, logger }: SchedulesOptions): () => Promise<void> {
  const stops = workflows.flatMap(({ name, schedule }) => {
    return schedule === undefined ? [] : [startSchedule(name, schedule, { commands, clock, logger })];
  });
  return async () => {
    await settleAll(stops.map((stop) => stop()));
  };
}

function startSchedule(
  workflow: string,
  schedule: Schedule,
  { commands, clock, logger }: Omit<SchedulesOptions, "workflows">,
): () => Promise<void> {
  const firing = new UnderWay();
  let isStopped = false;
  let cancelNext = (): void => undefined;
  let cancelRetry = (): void => undefined;

  function plan(): void {
    const timeMs = nextTimeMs(schedule, clock.now());
    if (timeMs === undefined) return;
    cancelNext = clock.after(timeMs - clock.now(), () => {
      cancelRetry();
      firing.add(fire(new Date(timeMs).toISOString().replace(".000Z", "Z")));
      plan();
    });
  }

  async function fire(time: string): Promise<void> {
    const runId = scheduledRunId(workflow, time);
    try {
      await commands.start(workflow, { runId, input: deserialize(schedule.inputJson) });
    } catch (error) {
      if (isStopped) return;
      const isFinal = error instanceof PawlError && !passing.includes(error.code);
      const message = `A scheduled run could not be started${isFinal ? "" : "; it is tried again"}`;
      logger.error(message, { error, workflow, runId });
      if (!isFinal) cancelRetry = clock.after(retryMs, () => firing.add(fire(time)));
    }
  }

  plan();
  return () => {
    isStopped = true;
    cancelNext();
    cancelRetry();
    return firing.ended();
  };
}
