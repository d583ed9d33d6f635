/** What a bulk operation costs, about: a sum of what each run and each part of it takes. */
import { limits } from "../definition/limits.ts";
import type { OperationAction, OperationEstimate } from "../runtime/operations.ts";
import type { RunIndex } from "../runtime/run-index.ts";
import { type BulkInput, runsPerPart } from "./operation-request.ts";
import { prices } from "./prices.ts";
import { matchingRuns } from "./selection.ts";

interface Needs {
  readonly writeUnits: number;
  readonly readUnits: number;
  /** Each is sent, received and deleted, and a worker is invoked for it. */
  readonly messages: number;
}

/**
 * For one run. A change of status writes the run (1), takes it out of one partition of the index and puts it into
 * another (2), and changes lists and counts (1). Before it, the run is read twice.
 */
const needs: Readonly<Record<OperationAction, Needs>> = {
  redrive: { writeUnits: 4, readUnits: 2, messages: 2 },
  cancel: { writeUnits: 4, readUnits: 2, messages: 1 },
  terminate: { writeUnits: 4, readUnits: 2, messages: 1 },
  signal: { writeUnits: 1, readUnits: 2, messages: 2 },
  /** The run, its place in the index, lists and counts, and a payload or two. */
  purge: { writeUnits: 5, readUnits: 2, messages: 0 },
};

/** Claim, renewal and end of the part, and its place in its shard. */
const needsOfPart: Needs = { writeUnits: 5, readUnits: 4, messages: 2 };

const requestsPerMessage = 3;
const secondsPerMessage = 0.05;
/** The memory of a worker, unless its task queue says otherwise. */
const workerGigabytes = 0.25;

export async function estimateOperation(index: RunIndex, input: BulkInput, nowMs: number): Promise<OperationEstimate> {
  let runs = 0;
  let isLimited = false;
  const examples: string[] = [];
  for await (const { runId } of matchingRuns(index, input, nowMs + 1)) {
    if (runs === input.limit) {
      isLimited = true;
      break;
    }
    runs++;
    if (examples.length < limits.operationExamples) examples.push(runId);
  }
  const seconds = Math.ceil(runs / input.ratePerSecond);
  return {
    action: input.action,
    dryRun: true,
    runs,
    isLimited,
    examples,
    seconds,
    estimate: costOf(input, runs, seconds),
  };
}

function costOf({ action, ratePerSecond }: BulkInput, runs: number, seconds: number): OperationEstimate["estimate"] {
  const parts = Math.ceil(runs / runsPerPart(ratePerSecond));
  const total = (name: keyof Needs): number => runs * needs[action][name] + parts * needsOfPart[name];
  const [writeUnits, readUnits, messages] = [total("writeUnits"), total("readUnits"), total("messages")];
  const requests = messages * requestsPerMessage;
  const gigabyteSeconds = (seconds + messages * secondsPerMessage) * workerGigabytes;
  const dollars =
    writeUnits * prices.writeUnit +
    readUnits * prices.readUnit +
    requests * prices.queueRequest +
    messages * prices.invocation +
    gigabyteSeconds * prices.gigabyteSecond;
  return { writeUnits, requests, dollars: Math.round(dollars * 1e6) / 1e6 };
}
