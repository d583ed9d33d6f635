// A seed in words: what is played, and every step of its schedule.
import { type Faults, faultKinds } from "../../lib/testing/simulator/faults.ts";
import { check, type Seed } from "./check-seed.ts";
import type { Plan } from "./plan.ts";
import { PlayError } from "./playing.ts";
import type { StepPlan } from "./random-workflow.ts";
import { shrink } from "./shrink.ts";

const linesMost = 150;

export function replayCommand(seed: number): string {
  return `npm run test:sim -- --seed ${seed}`;
}

/** Of a seed that fails: the smallest that fails in the same way. */
export async function describeFailure(number: number, seed: Seed): Promise<string> {
  const small = await shrink(seed);
  if (small === undefined)
    return `seed ${number} failed, and does not when it is played again: something in it is not decided by its seed`;
  const { plan, world, message, tries, strikes } = small;
  return [
    `seed ${number} fails: ${message}`,
    `The smallest that fails alike, of ${tries} that were tried (${strikes} of its faults strike):`,
    describePlan(plan),
    "",
    ...lastLines(world.trace),
    "",
    `Play it again: ${replayCommand(number)}`,
  ].join("\n");
}

/** One seed, whether it fails or not. */
export async function describeReplay(
  number: number,
  seed: Seed,
): Promise<{ readonly text: string; readonly failure: PlayError | undefined }> {
  const { plan, chooser } = seed;
  const played = await check(plan, chooser(), { isTraced: true }).catch((error: unknown) => {
    if (error instanceof PlayError) return error;
    throw error;
  });
  const failure = played instanceof PlayError ? played : undefined;
  const world = played instanceof PlayError ? played.world : played;
  const told = [`seed ${number}`, describePlan(plan), "", ...world.trace, ""];
  if (failure === undefined) return { text: [...told, "nothing is wrong"].join("\n"), failure };
  return { text: [...told, failure.message, "", await describeFailure(number, seed)].join("\n"), failure };
}

export function describePlan({
  kind,
  steps,
  childSteps,
  faults,
  faultChance,
  operationChance,
  losses,
  turns,
}: Plan): string {
  return [
    `scenario: ${kind}${kind === "turns" ? ` ${JSON.stringify(turns)}` : ""}`,
    `faults: ${describeFaults(faults)}, each moment ${faultChance}; operations: each moment ${operationChance}; losses: ${losses}`,
    ...steps.map((step, index) => describeStep(step, index)),
    ...(hasChildren(steps) ? ["of its children:", ...childSteps.map((step, index) => describeStep(step, index))] : []),
  ].join("\n");
}

function describeFaults(faults: Faults): string {
  const some = faultKinds.filter((kind) => faults[kind] > 0).map((kind) => `${faults[kind]} ${kind}`);
  const skew = faults.skewMs > 0 ? [`clocks that differ by up to ${2 * faults.skewMs} ms`] : [];
  return [...some, ...skew].join(", ") || "none";
}

function describeStep(step: StepPlan, index: number): string {
  const { behaviour, kind, after, onFailure, undo, delayed, skipWithDependency, limited, large, filling, idempotent } =
    step;
  const flags = Object.entries({ delayed, skipWithDependency, limited, large, filling, idempotent }).flatMap(
    ([name, is]) => (is ? [name] : []),
  );
  const waits = after.length === 0 ? "" : `, ${kind} ${after.map((at) => `s${at}`).join(" ")}`;
  const undone = undo === "none" ? "" : `, undo ${undo}`;
  return `  s${index} ${behaviour}${waits}, on failure ${onFailure}${undone}${flags.map((flag) => `, ${flag}`).join("")}`;
}

function hasChildren(steps: readonly StepPlan[]): boolean {
  return steps.some(({ behaviour }) => behaviour === "child" || behaviour === "freeChild");
}

function lastLines(trace: readonly string[]): readonly string[] {
  if (trace.length <= linesMost) return trace;
  return [`(${trace.length - linesMost} lines before)`, ...trace.slice(-linesMost)];
}
