/** The first half of the delivery rule: from a step's message to the right to work on it, or to what becomes of it. */
import type { Graph, GraphStep } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import type { StepCode } from "../definition/step.ts";
import { type Claimant, type ClaimVerdict, claim, look, reconsiderClaim } from "../engine/claim.ts";
import { giveUp } from "../engine/commit.ts";
import { type Message, mayPrecedeRun, type StepMessage } from "../engine/message.ts";
import { pause } from "../engine/operate.ts";
import { payloadKey } from "../engine/placement.ts";
import type { PauseReason, RunState } from "../engine/run-state.ts";
import { type Attempt, stateOn } from "../engine/track.ts";
import { beginUnclaimed, isIdempotent } from "../engine/unclaimed.ts";
import { codeOf } from "./code-of.ts";
import { type Definitions, graphMissing } from "./definitions.ts";
import { advanceBecauseOf, tellWaiters } from "./effects.ts";
import { ContendedRunError, change, type Image, imageOf } from "./image.ts";
import type { Disposition, Logger, Ports, WriteResult } from "./ports.ts";
import type { RateGate } from "./rate-gate.ts";
import type { ErrorRecord } from "./step-data.ts";

export interface ClaimedStep {
  readonly graph: Graph;
  readonly image: Image;
  readonly mine: Attempt;
  readonly code: StepCode;
  /** What is wrong with the step, found out before its attempt began: the attempt fails with it. */
  readonly fault?: Error | undefined;
}

export type Claimed =
  | { readonly kind: "work"; readonly work: ClaimedStep }
  | { readonly kind: "done"; readonly disposition: Disposition };

/** Of the delivery that brought the message. */
export interface Claiming {
  readonly by: Claimant;
  readonly rates: RateGate;
  /** The message has not been delivered before. */
  readonly isFirstTime: boolean;
}

const acknowledged: Claimed = { kind: "done", disposition: { kind: "acknowledge" } };

export async function claimStep(
  ports: Ports,
  definitions: Definitions,
  graph: Graph | undefined,
  message: StepMessage,
  { by, rates, isFirstTime }: Claiming,
  log: Logger,
): Promise<Claimed> {
  const { runId, step } = message;
  if (graph !== undefined && graph.steps[step] === undefined) {
    const reason = `The graph of workflow "${message.workflow}" has no step ${step}.`;
    return { kind: "done", disposition: { kind: "deadLetter", reason } };
  }
  const found = findCode(definitions, message, graph);
  if (graph === undefined) return parkWithoutGraph(ports, message, found, log);
  // Without the code nothing is claimed: the run is only looked at, and parked if this step is what it needs next.
  // A timer of a step that waits claims nothing either, and that of a callback may be one. A step that may not begin at any time asks first: the look
  // tells whether its attempt will begin at all, so that nothing is asked for in vain.
  const track = message.kind;
  const isWakeUp = track === "step" && message.wakeAtMs !== undefined && graph.steps[step]?.kind !== "step";
  let mustAsk =
    track === "step" && "code" in found && rates.isLimited(graph.steps[step]?.taskQueue ?? "default", found.code);
  // One that was delivered before may have lost its worker: that is counted by claims.
  const isUnclaimed = track === "step" && isFirstTime && isIdempotent(graph.steps[step]);
  let fault: Error | undefined;
  const looksFirst = isWakeUp || mustAsk || isUnclaimed;
  let write = "code" in found && !looksFirst ? claim(message, by) : undefined;

  for (let tries = 0; tries < limits.decisionTries; tries++) {
    const result: WriteResult =
      write === undefined
        ? { applied: false, fields: await ports.store.get(runId) }
        : await ports.store.update(runId, write);
    if ((mustAsk || isUnclaimed) && result.fields === undefined && write !== look) {
      // A start that is just writing its run should not cost the step a pause.
      write = look;
      continue;
    }
    const image = result.fields === undefined ? undefined : imageOf(runId, result.fields);
    const isOurs = image !== undefined && stateOn(track, image.run, step)?.status === "running";
    const verdict: ClaimVerdict =
      result.applied && isOurs ? { kind: "won" } : reconsiderClaim(graph, image?.run, message, by);
    if (verdict.kind === "later") return { kind: "done", disposition: { kind: "redeliver", delayMs: verdict.delayMs } };
    if (verdict.kind === "drop") {
      log.debug("message dropped", { because: verdict.because });
      // Perhaps it was parked by this very message, whose worker died before it could say so.
      if ("missing" in found && image !== undefined) await tellWaiters(ports, image.run);
      return acknowledged;
    }
    if (image === undefined) throw new Error(`Run ${runId} is not there, and yet its claim is ${verdict.kind}.`);
    if ("missing" in found && (verdict.kind === "claimable" || verdict.kind === "takeOver")) {
      if (track === "step") return park(ports, image, found.missing, log);
      return giveUpUndo(ports, graph, image, step, found.missing, by.nowMs, log);
    }
    if (mustAsk && "code" in found && (verdict.kind === "claimable" || verdict.kind === "takeOver")) {
      mustAsk = false;
      const answer = await rates.ask(graph, image.run, step, found.code, isFirstTime);
      if (answer.kind === "wait") return { kind: "done", disposition: { kind: "redeliver", delayMs: answer.delayMs } };
      if (answer.kind === "fault") fault = answer.error;
    }
    switch (verdict.kind) {
      case "won": {
        if ("missing" in found) throw new Error(`Run ${runId} was claimed without the code of step ${step}.`);
        const attempt = stateOn(track, image.run, step)?.attempt ?? message.attempt;
        const mine = { track, step, attempt, owner: by.owner };
        return { kind: "work", work: { graph, image, mine, code: found.code, fault } };
      }
      case "over":
        await advanceBecauseOf(ports, graph, image, step, track);
        return acknowledged;
      case "claimable":
        if (isUnclaimed && "code" in found) {
          const unclaimed = beginUnclaimed(image.run, step, by.nowMs);
          const mine = { track, step, attempt: message.attempt, owner: by.owner, unclaimed };
          return { kind: "work", work: { graph, image, mine, code: found.code, fault } };
        }
        write = claim(message, by);
        break;
      case "wake": {
        const { error, attempt } = verdict;
        if (error !== undefined)
          await keepError(ports, image.run, { track, step }, attempt, { ...error, atMs: by.nowMs });
        write = verdict.transition;
        break;
      }
      case "takeOver":
        write = verdict.transition;
        break;
      case "giveUp":
        await giveUpStep(ports, image, { track, step }, verdict, by.nowMs, log);
        break;
    }
  }
  throw new ContendedRunError(runId);
}

/** Ends a step whose worker was lost. Whatever came between is decided on again, by the same table. */
async function giveUpStep(
  ports: Ports,
  { run }: Image,
  mine: Pick<Attempt, "track" | "step">,
  verdict: Extract<ClaimVerdict, { kind: "giveUp" }>,
  nowMs: number,
  log: Logger,
): Promise<void> {
  const { attempt, error, transition } = verdict;
  if (error !== undefined) await keepError(ports, run, mine, attempt, { ...error, atMs: nowMs });
  const { applied } = await ports.store.update(run.runId, transition);
  if (applied) log.warn("the worker of the last attempt was lost", { attempt, outcome: error?.name ?? "unknown" });
}

/** The code of the step, or why the run cannot go on here. */
function findCode(
  definitions: Definitions,
  message: StepMessage,
  graph: Graph | undefined,
): { readonly code: StepCode } | { readonly missing: PauseReason } {
  const name = `"${message.workflow}"`;
  const workflow = definitions.find(message.workflow);
  if (workflow === undefined) {
    const known = definitions.all().map((one) => `"${one.name}"`);
    const text = `The worker does not have workflow ${name}; it has ${known.join(", ")}. Deploy the workflow again, then resume the run.`;
    return { missing: { code: "workflow_missing", message: text } };
  }
  const step = graph?.steps[message.step];
  if (graph === undefined || step === undefined) {
    return { missing: graphMissing(message.workflow, message.fingerprint) };
  }
  const code = codeOf(workflow, graph, step);
  if (message.kind === "undo") return findUndoCode(name, step, code);
  if (code?.kind !== step.kind) return { missing: stepMissing(name, `${step.kind} "${step.id}"`) };
  const lost = lostPart(step, code);
  return lost === undefined ? { code } : { missing: stepMissing(name, `the ${lost} of ${step.kind} "${step.id}"`) };
}

/** Undoing needs nothing of the step's code but what undoes it. */
function findUndoCode(
  workflow: string,
  step: GraphStep,
  code: StepCode | undefined,
): { readonly code: StepCode } | { readonly missing: PauseReason } {
  if (code?.compensate !== undefined) return { code };
  const message = `The code of workflow ${workflow} no longer has the compensation of step "${step.id}", which this run needs. Deploy code that has it, then redrive the run.`;
  return { missing: { code: "step_missing", message } };
}

/** What this graph relies on and the code, of another version, no longer has. */
function lostPart(step: GraphStep, code: StepCode): string | undefined {
  if (step.hasWhen === true && code.when === undefined) return "condition (when)";
  if (code.kind === "step" && step.hasStartAt === true && code.startAt === undefined) return "start time (startAt)";
  if (code.kind === "step" && step.kind === "step" && step.poll !== undefined && code.until === undefined) {
    return "end (until)";
  }
  const isComputed = step.kind === "sleep" && step.durationMs === undefined;
  return isComputed && code.kind === "sleep" && code.until === undefined ? "end (until)" : undefined;
}

function stepMissing(workflow: string, what: string): PauseReason {
  const message = `The code of workflow ${workflow} no longer has ${what}, which this run's graph needs. Deploy code that has it, then resume the run.`;
  return { code: "step_missing", message };
}

/** A run that cannot go on with the code that is there waits for a person; it neither fails nor guesses. */
export async function park(ports: Ports, image: Image, reason: PauseReason, log: Logger): Promise<Claimed> {
  const { run } = await change(ports.store, image, (current) => {
    const verdict = pause(current, reason);
    return verdict.kind === "write" ? verdict.transition : undefined;
  });
  if (run.status === "paused") log.error("the run is parked", { reason: reason.code, message: reason.message });
  await tellWaiters(ports, run);
  return acknowledged;
}

/** A run that unwinds is not paused: what cannot be undone here is left for a redrive, and the rest goes on. */
async function giveUpUndo(
  ports: Ports,
  graph: Graph,
  image: Image,
  step: number,
  missing: PauseReason,
  nowMs: number,
  log: Logger,
): Promise<Claimed> {
  const mine = { track: "undo", step } as const;
  const error = { name: "CompensationMissing", message: missing.message };
  await keepError(ports, image.run, mine, image.run.undos[step]?.attempt ?? 0, { ...error, atMs: nowMs });
  const after = await change(ports.store, image, (run) => giveUp(graph, run, mine, error, nowMs));
  log.error("a compensation has no code", { message: missing.message });
  await advanceBecauseOf(ports, graph, after, step, "undo");
  return acknowledged;
}

async function parkWithoutGraph(
  ports: Ports,
  message: StepMessage,
  found: ReturnType<typeof findCode>,
  log: Logger,
): Promise<Claimed> {
  const fields = await ports.store.get(message.runId);
  if (fields === undefined) return { kind: "done", disposition: runMissing(message, ports.clock.now()) };
  const image = imageOf(message.runId, fields);
  if ("code" in found || image.run.epoch !== message.epoch || image.run.fingerprint !== message.fingerprint) {
    return acknowledged;
  }
  const parked = await park(ports, image, found.missing, log);
  const isUnwinding = image.run.status === "unwinding";
  return isUnwinding ? { kind: "done", disposition: { kind: "redeliver", delayMs: limits.leaseMs } } : parked;
}

/** A start arms its messages before it writes the run; a message whose run never comes is dropped. */
export function runMissing(message: Message, nowMs: number): Disposition {
  return mayPrecedeRun(message, nowMs) ? { kind: "redeliver", delayMs: limits.startRetryMs } : { kind: "acknowledge" };
}

export async function keepError(
  ports: Ports,
  run: RunState,
  { track, step }: Pick<Attempt, "track" | "step">,
  attempt: number,
  error: ErrorRecord,
): Promise<void> {
  await ports.store.putPayload(run.runId, payloadKey.error(step, run.epoch, attempt, track), JSON.stringify(error));
}
