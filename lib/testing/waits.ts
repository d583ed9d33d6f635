/** What a run waits for that no passing of time brings: then a test has to do something, and is told what. */
import { isTerminal } from "../engine/run-state.ts";
import type { RunView, StepRunView } from "../runtime/run-view.ts";

/** Somebody outside whom a run waits for. */
export interface AwaitedAct {
  readonly runId: string;
  /** What must come: a signal, the answer to a question or to a callback, or the resumption of a paused run. */
  readonly act: "signal" | "answer" | "callback" | "resume";
  /** Absent for a paused run. */
  readonly step?: string;
  /** What is waited for and what to do, as a sentence each. */
  readonly message: string;
}

/**
 * Acts that the run cannot do without; none when it goes on by itself, be it that a wait times out.
 *
 * @param show the run of that id, for runs that its steps have started
 */
export async function awaitedActs(
  run: RunView,
  show: (runId: string) => Promise<RunView>,
): Promise<readonly AwaitedAct[]> {
  const { runId, status, deadlineAt, pause } = run;
  if (isTerminal(status) || deadlineAt !== undefined) return [];
  if (status === "paused") {
    const message = `Run ${runId} is paused: ${pause?.message ?? ""} Resume it: await engine.commands.resume("${runId}").`;
    return [{ runId, act: "resume", message }];
  }
  if (run.waitsForTurn !== undefined) return [];
  const acts: AwaitedAct[] = [];
  for (const [step, view] of Object.entries(run.steps)) {
    if (goesOn(view)) return [];
    if (view.status !== "waiting") continue;
    const awaited = view.waitsFor === "run" ? await actsOfChild(view, show) : actOf(runId, step, view);
    if (awaited.length === 0) return [];
    acts.push(...awaited);
  }
  return acts;
}

/** Whether something of the step will happen by itself. */
function goesOn({ status, waitsFor, waitsUntil, compensation }: StepRunView): boolean {
  const isUndone = compensation?.status === "running" || compensation?.status === "backing_off";
  if (status === "running" || status === "backing_off" || isUndone) return true;
  return status === "waiting" && (waitsUntil !== undefined || waitsFor === "time");
}

async function actsOfChild(
  { child }: StepRunView,
  show: (runId: string) => Promise<RunView>,
): Promise<readonly AwaitedAct[]> {
  return child === undefined ? [] : awaitedActs(await show(child), show);
}

function actOf(runId: string, step: string, { waitsFor, interrupt }: StepRunView): readonly AwaitedAct[] {
  const of = `Run ${runId} waits for`;
  const id = JSON.stringify(step);
  switch (waitsFor) {
    case "signal": {
      const message = `${of} the signal ${id}, which nobody has sent. Send it: await run.signal(${id}, payload).`;
      return [{ runId, step, act: "signal", message }];
    }
    case "answer": {
      const asked = JSON.stringify(interrupt?.payload);
      const message = `${of} an answer to the question of step ${id}: ${asked}. Answer it: await run.answer(${id}, answer).`;
      return [{ runId, step, act: "answer", message }];
    }
    case "callback": {
      const message = `${of} whoever was given the task token of step ${id}. Answer for them: await run.callback(${id}).succeed(output).`;
      return [{ runId, step, act: "callback", message }];
    }
    case "run":
    case "time":
    case undefined:
      break;
  }
  return [];
}
