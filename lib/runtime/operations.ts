/**
 * What is done to many runs at once: a job that is itself a run, of the workflow `pawl-bulk`. It selects runs, then acts on
 * each of them once, at a bounded rate, and can be aborted.
 */
import type { RunStatus } from "../engine/run-state.ts";
import type { RunQuery } from "./queries.ts";

export const operationActions = ["redrive", "cancel", "terminate", "signal", "purge"] as const;
export type OperationAction = (typeof operationActions)[number];

export interface OperationRequest {
  readonly action: OperationAction;
  /** At least one of its criteria. The status must be one that the action is possible in. @default status: those that it is possible in */
  readonly filter: RunQuery;
  /** Of `signal`: its name and payload. */
  readonly signal?: { readonly name: string; readonly payload?: unknown };
  /** Only count, and estimate. @default false */
  readonly dryRun?: boolean;
  /** Runs per second, 1 to 200. @default 50 */
  readonly ratePerSecond?: number;
  /** Runs at most; the others are left alone. 1 to 50,000. @default 50,000 */
  readonly limit?: number;
  /** The same id and request begin one operation, however often it is asked for. @default a random one */
  readonly operationId?: string;
}

/** What a dry run tells. */
export interface OperationEstimate {
  readonly action: OperationAction;
  readonly dryRun: true;
  /** Runs that match now. */
  readonly runs: number;
  /** More match than one operation takes: `runs` is its limit. */
  readonly isLimited: boolean;
  /** First of them. */
  readonly examples: readonly string[];
  /** At this rate. */
  readonly seconds: number;
  /** What the operation itself is billed, about, in us-east-1; what the runs do then comes on top. */
  readonly estimate: { readonly writeUnits: number; readonly requests: number; readonly dollars: number };
}

export interface OperationFailure {
  readonly runId: string;
  readonly code: string;
  readonly message: string;
}

export interface OperationView {
  /** Id of the run that does it. */
  readonly operationId: string;
  readonly action: OperationAction;
  readonly filter: RunQuery;
  readonly status: RunStatus;
  readonly createdAt: string;
  readonly endedAt?: string;
  readonly progress: {
    /** Runs that were selected; absent until they are. */
    readonly selected?: number;
    /** Acted on, by this operation. */
    readonly done: number;
    /** Left alone: they had changed since they were selected. */
    readonly skipped: number;
    readonly failed: number;
  };
  /** The first 100. */
  readonly failures: readonly OperationFailure[];
}

export interface Operations {
  /** @throws {PawlError} invalid_request, run_conflict, unavailable */
  begin(request: OperationRequest): Promise<OperationView | OperationEstimate>;
  /** @throws {PawlError} operation_not_found */
  get(operationId: string): Promise<OperationView>;
  /** Acts on no further run; what was done stays. @throws {PawlError} operation_not_found, status_conflict */
  abort(operationId: string): Promise<OperationView>;
}
