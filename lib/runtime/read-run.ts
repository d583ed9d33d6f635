/**
 * Reads runs as `decodeRun` does, with less work: a worker meets the same few records again and again, each of them one
 * step further than the last. Records are told by identity, so only those that cannot change any more are remembered.
 */
import { limits } from "../definition/limits.ts";
import { decodePayload, decodeRun } from "../engine/codec.ts";
import { isTerminal, type PayloadRef, type RunState, type StepState } from "../engine/run-state.ts";
import { decodeStep } from "../engine/step-codec.ts";
import type { Fields, Transition } from "../engine/transition.ts";

interface Remembered {
  readonly fields: Fields;
  readonly run: RunState;
}

/** By run id; those remembered first fall out first. */
const remembered = new Map<string, Remembered>();

/** The run in a stored record. @throws {StoredRunError} as `decodeRun` does */
export function readRun(runId: string, fields: Fields): RunState {
  const known = remembered.get(runId);
  if (known?.fields === fields) return known.run;
  const run = decodeRun(runId, fields);
  if (Object.isFrozen(fields)) remember(runId, fields, run);
  return run;
}

/**
 * To be told by stores that hand out frozen records: `after` is what this transition made of `before`. When it only moved
 * steps of a run that goes on, which nearly all writes do, reading it costs no more than these.
 */
export function follow(
  runId: string,
  before: Fields | undefined,
  { set, add, remove }: Transition,
  after: Fields,
): void {
  const known = remembered.get(runId);
  if (known === undefined || known.fields !== before || add !== undefined || remove !== undefined) return;
  if (isTerminal(known.run.status)) return;
  const run = moved(known.run, set);
  if (run !== undefined) remember(runId, after, run);
}

/** The run with these fields in place of its own; `undefined` when there is more in them than states and outputs of steps. */
function moved(run: RunState, set: Fields): RunState | undefined {
  let steps: (StepState | undefined)[] | undefined;
  let outputs: (PayloadRef | undefined)[] | undefined;
  for (const name in set) {
    const [, letter, digits] = indexed.exec(name) ?? [];
    const index = Number(digits);
    if (letter === undefined || index >= limits.stepsPerWorkflow) return undefined;
    if (letter === "o") {
      outputs ??= run.outputs.slice();
      outputs[index] = decodePayload(String(set[name]));
      continue;
    }
    const step = decodeStep(String(set[name]));
    if (step === undefined) return undefined;
    steps ??= run.steps.slice();
    steps[index] = step;
  }
  return { ...run, steps: steps ?? run.steps, outputs: outputs ?? run.outputs };
}

const indexed = /^([so])(0|[1-9]\d*)$/;

function remember(runId: string, fields: Fields, run: RunState): void {
  if (remembered.size >= limits.rememberedRuns && !remembered.has(runId)) {
    remembered.delete(remembered.keys().next().value as string);
  }
  remembered.set(runId, { fields, run });
}
