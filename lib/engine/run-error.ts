/** Errors of runs: which of them are the same failure. */
import { childFailureFingerprint, type FailurePlace, failureFingerprint } from "../definition/failure-fingerprint.ts";
import type { Graph } from "../definition/graph.ts";
import type { RunError } from "./run-state.ts";

/** Items of a map fail alike: their place is the map. */
export function failurePlace({ workflow, shard }: Graph, stepId: string | undefined): FailurePlace {
  const step = shard?.map ?? stepId;
  return { workflow, ...(step === undefined ? {} : { step }) };
}

/** With the fingerprint of what it says; who saw it thrown has given it a better one. */
export function withFingerprint(graph: Graph, error: RunError): RunError {
  if (error.fingerprint !== undefined) return error;
  return { ...error, fingerprint: failureFingerprint(failurePlace(graph, error.step), error) };
}

/** The error of a step because of that of a run which it has started: alike when those are. */
export function becauseOf(graph: Graph, error: RunError, cause: RunError | undefined): RunError {
  const place = failurePlace(graph, error.step);
  return { ...error, fingerprint: childFailureFingerprint(place, error.name, cause?.fingerprint) };
}
