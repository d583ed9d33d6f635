// What holds for one step of a run from one write to the next.
import { dependencies, type Graph } from "../../definition/graph.ts";
import { hasEnded, type RunState, type StepState } from "../../engine/run-state.ts";
import { isIdempotent } from "../../engine/unclaimed.ts";
import { contentOf, type Evidence } from "./evidence.ts";
import { faultOfOrder } from "./order-checks.ts";

export function checkStep(
  seen: Evidence,
  graph: Graph,
  was: RunState | undefined,
  is: RunState,
  index: number,
  maxAttempts: number | "unlimited",
): void {
  const before = was?.steps[index];
  const after = is.steps[index];
  const step = graph.steps[index];
  const at = `step ${index}`;
  const isRedrive = was !== undefined && was.epoch !== is.epoch;
  if (is.byHand?.[index] !== undefined && !hasEnded(after)) seen.fail(`R6: ${at} was ended by hand and is repeated`);
  if (after === undefined) {
    if (before !== undefined && !isRedrive) seen.fail(`R6: ${at} lost its state`);
    // Only what was undone, or built on that, is done again.
    const isAnew = is.generations[index] === is.epoch && isRedrive;
    if (before?.status === "succeeded" && !isAnew) seen.fail(`R6: ${at} had succeeded and was forgotten`);
    if (isAnew) seen.successes.delete(`${is.runId}/${index}`);
    return;
  }
  if (
    before?.status === "succeeded" &&
    was !== undefined &&
    contentOf(seen, was, index) !== contentOf(seen, is, index)
  ) {
    seen.fail(`R6: the output of ${at} changed after it had succeeded`);
  }
  if (isRedrive && is.byHand?.[index] !== was.byHand?.[index]) {
    checkByHand(seen, is, index, before, after);
    return;
  }
  if (isRedrive && is.status === "running" && was.undos[index]?.status === "succeeded")
    seen.fail(`${at} was undone and is kept as done`);
  if (isRedrive && JSON.stringify(before) !== JSON.stringify(after)) {
    seen.fail(`R6: ${at} was changed by a redrive instead of repeated`);
  }
  const renewed = isRedrive && is.byHand?.[index] === undefined ? renewedBefore(graph, is, index) : undefined;
  if (renewed !== undefined) seen.fail(`R6: ${at} is kept, and was built on step ${renewed}, which was undone`);
  if (hasEnded(before) && JSON.stringify(before) !== JSON.stringify(after))
    seen.fail(`R6: ${at} had ended and changed`);
  const steps = after.attempt - (before?.attempt ?? 0);
  if (steps > 1 || steps < -1) seen.fail(`R3: ${at} went from attempt ${before?.attempt ?? 0} to ${after.attempt}`);
  if (maxAttempts !== "unlimited" && after.attempt > maxAttempts)
    seen.fail(`R3: ${at} made attempt ${after.attempt} of ${maxAttempts}`);
  if (after.status === "succeeded" && before?.status !== "succeeded") {
    const count = (seen.successes.get(`${is.runId}/${index}`) ?? 0) + 1;
    seen.successes.set(`${is.runId}/${index}`, count);
    const isClaimed = before?.status === "running" || before?.status === "waiting";
    if (!isClaimed && !isIdempotent(step)) seen.fail(`R4: ${at} succeeded without a claim`);
    if (!isClaimed && steps !== 1) seen.fail(`R3: ${at} succeeded at attempt ${after.attempt} when another was due`);
    if (count > 1) seen.fail(`R6: ${at} succeeded twice`);
    if (is.outputs[index] === undefined) seen.fail(`R6: ${at} succeeded without an output`);
  }
  const isClaimedNow = after.status === "running" && (before?.status !== "running" || before.owner !== after.owner);
  // Of an attempt without a claim, the first write may be its end, or late: its run may have been paused meanwhile.
  const isUsed = before?.status !== "running" && after.attempt > (before?.attempt ?? 0);
  const isFirstWrite = isIdempotent(step) && isUsed && !isRedrive;
  if ((isClaimedNow || isFirstWrite) && step !== undefined) {
    const isRunning = was?.status === "running" || (isFirstWrite && was?.status === "paused");
    if (!isRunning) seen.fail(`R2: ${at} was begun while the run was ${was?.status}`);
    const fault = faultOfOrder(step, is.steps);
    if (fault !== undefined) seen.fail(`R7: ${at} ${fault}`);
  }
}

function renewedBefore(graph: Graph, is: RunState, index: number): number | undefined {
  const step = graph.steps[index];
  return step && dependencies(step).find((dependency) => is.generations[dependency] === is.epoch);
}

/** Only what did not end well is ended by hand, and somebody answers for it. */
function checkByHand(
  seen: Evidence,
  is: RunState,
  index: number,
  before: StepState | undefined,
  after: StepState,
): void {
  const at = `step ${index}`;
  if (!["failed", "unknown", "cancelled"].includes(before?.status ?? "pending"))
    seen.fail(`R6: ${at} was ${before?.status} and is ended by hand`);
  if (!["succeeded", "skipped"].includes(after.status) || after.attempt !== before?.attempt)
    seen.fail(`R3: ${at} is ${after.status} by hand, at attempt ${after.attempt}`);
  const record = seen.payload(is.runId, `hand#${index}#${is.byHand?.[index]}`);
  if (record === undefined) seen.fail(`R6: nobody answers for ${at}, which was ended by hand`);
  if (after.status === "succeeded") {
    seen.successes.set(`${is.runId}/${index}`, 1);
    if (contentOf(seen, is, index) !== (JSON.parse(record) as { reason: string }).reason)
      seen.fail(`R6: ${at} was ended by hand with the output of somebody else`);
  }
}

/** A commit is by the owner of the attempt, and whoever takes over makes the next attempt. */
export function checkFence(
  seen: Evidence,
  before: StepState | undefined,
  after: StepState | undefined,
  index: number,
  writer: string,
): void {
  if (before?.status !== "running" || after === undefined || after === before) return;
  if (after.status === "running" && after.owner !== before.owner && after.attempt !== before.attempt + 1) {
    seen.fail(`R3: step ${index} was taken over at attempt ${before.attempt} as attempt ${after.attempt}`);
  }
  const isCommit = ["succeeded", "skipped", "backing_off", "waiting"].includes(after.status);
  if (isCommit && !before.owner.startsWith(`${writer}-`)) {
    seen.fail(`R4: step ${index} of ${before.owner} was committed by ${writer}`);
  }
}
