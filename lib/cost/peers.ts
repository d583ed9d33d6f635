/**
 * What others would bill for the same graph, by their published rules. Nothing of them runs here: steps and attempts are
 * those that ran on Pawl.
 */
import type { Prices } from "./prices.ts";

/** What was done in a run, whoever does it. */
export interface WorkDone {
  /** Of steps and of items of maps, repeated ones included. */
  readonly attempts: number;
  /** Maps that began, also those of no items. */
  readonly maps: number;
  /** Runs that a step has started; items of maps to runs included. */
  readonly children: number;
  /** Of inputs and outputs, as JSON. */
  readonly payloadBytes: number;
}

/** What one of them would bill for a run, its functions included. */
export interface PeerBill {
  readonly peer: string;
  readonly dollars: number;
  /** What was counted, in words. */
  readonly how: string;
}

const retentionDays = 14;
const gb = 1024 ** 3;

/**
 * Step Functions, Standard: each state that is entered is a transition, and each retry, and each invokes a function; a child
 * is an execution of its own.
 *
 * Lambda durable functions: an operation for each execution and child, each step and each retry of it, each map and each of
 * its items; what is written and kept, for a fortnight; and one invocation for each execution, as long as all its steps.
 *
 * @param gbSecondsEach of the function that does an attempt
 */
export function peerBills(
  { attempts, maps, children, payloadBytes }: WorkDone,
  gbSecondsEach: number,
  { peers, perUnit }: Prices,
): readonly PeerBill[] {
  const executions = 1 + children;
  const operations = executions + attempts + maps;
  const writtenGb = payloadBytes / gb;
  const computing = attempts * gbSecondsEach * perUnit.lambdaGbSeconds;
  return [
    {
      peer: "AWS Step Functions, Standard",
      dollars: attempts * (peers.stateTransition + perUnit.lambdaRequests) + computing,
      how: counted(attempts, "state transition"),
    },
    {
      peer: "AWS Lambda durable functions",
      dollars:
        operations * peers.durableOperation +
        writtenGb * (peers.durableGbWritten + (retentionDays / 30) * peers.durableGbMonth) +
        executions * perUnit.lambdaRequests +
        computing,
      how: `${counted(operations, "operation")}, ${counted(payloadBytes, "byte")} kept for ${retentionDays} days`,
    },
  ];
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
