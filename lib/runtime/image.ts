/** A run as some write or read returned it, and the loop that every change of a run goes through. */

import { limits } from "../definition/limits.ts";
import type { RunState } from "../engine/run-state.ts";
import type { Fields, Transition } from "../engine/transition.ts";
import { PawlError } from "./errors.ts";
import type { RunStore } from "./ports.ts";
import { readRun } from "./read-run.ts";

export interface Image {
  readonly run: RunState;
  readonly fields: Fields;
}

export function imageOf(runId: string, fields: Fields): Image {
  return { run: readRun(runId, fields), fields };
}

/**
 * Writes what `decide` says about the run; when the run has changed meanwhile, decides again from what it is now.
 * Returns after the first write that is applied, or when there is nothing to write. Statuses only move forward, so
 * this ends soon; `limits.decisionTries` bounds it.
 */
export async function change(
  store: RunStore,
  image: Image,
  decide: (run: RunState) => Transition | undefined,
): Promise<Image> {
  let current = image;
  for (let tries = 0; tries < limits.decisionTries; tries++) {
    const transition = decide(current.run);
    if (transition === undefined) return current;
    const result = await store.update(current.run.runId, transition);
    if (result.fields === undefined) throw runGone(current.run.runId);
    current = imageOf(current.run.runId, result.fields);
    if (result.applied) return current;
  }
  throw new ContendedRunError(image.run.runId);
}

/** It was removed since it was read. */
function runGone(runId: string): PawlError {
  return new PawlError("run_not_found", `Run ${runId} has been removed.`);
}

/** The message of whoever gave up is delivered again, so nothing is lost. */
export class ContendedRunError extends Error {
  override readonly name = "ContendedRunError";

  constructor(runId: string) {
    super(`Run ${runId} changed under each of ${limits.decisionTries} decisions in a row.`);
  }
}
