/** What users ask about many runs at once. The same words in HTTP, client and CLI; times are ISO 8601. */
import type { RunError, RunStatus } from "../engine/run-state.ts";

/** All that are given must hold. */
export interface RunQuery {
  readonly workflow?: string;
  /** One of these. @default any */
  readonly status?: RunStatus | readonly RunStatus[];
  /** Created then or later: ISO 8601 or Date. */
  readonly from?: string | Date;
  /** Created before then. */
  readonly to?: string | Date;
  readonly tag?: { readonly key: string; readonly value: string };
  /** Id of the run that started them: its children, and the runs of the items of its maps. */
  readonly parent?: string;
  /** Failed like this: `error.fingerprint` of a run. */
  readonly fingerprint?: string;
}

export interface ListRequest extends RunQuery {
  /** Runs of one page at most, 1 to 1,000. @default 50 */
  readonly limit?: number;
  /** `cursor` of the page before, of the same query. */
  readonly cursor?: string;
}

/** A run in a list: all but its steps and payloads. */
export interface RunSummary {
  readonly runId: string;
  readonly workflow: string;
  readonly status: RunStatus;
  readonly error?: RunError;
  readonly tags?: Readonly<Record<string, string>>;
  readonly parent?: { readonly runId: string; readonly step: string };
  readonly redrives: number;
  readonly createdAt: string;
  readonly startAt?: string;
  readonly endedAt?: string;
  /** When it may be deleted. */
  readonly expiresAt?: string;
}

export interface RunPage {
  /** Newest first. May be fewer than asked for, even none, although there are more. */
  readonly runs: readonly RunSummary[];
  /** For the next page; absent: this is the last. */
  readonly cursor?: string;
}

export type StatusCounts = Readonly<Partial<Record<RunStatus, number>>>;

export interface Durations {
  /** From creation to end, in ms, within 9 %: half of the runs took no longer. Absent: none has ended. */
  readonly p50Ms?: number;
  readonly p95Ms?: number;
}

export interface WorkflowStats extends Durations {
  readonly workflow: string;
  readonly runs: number;
  readonly byStatus: StatusCounts;
  /** Newest first; days without runs are left out. */
  readonly days: readonly (Durations & {
    readonly day: string;
    readonly runs: number;
    readonly byStatus: StatusCounts;
  })[];
}

export interface Stats {
  /** Runs that were created on these days (UTC), both included. */
  readonly from: string;
  readonly to: string;
  readonly runs: number;
  readonly byStatus: StatusCounts;
  /** By name. */
  readonly workflows: readonly WorkflowStats[];
  readonly storage: {
    /** Of runs and payloads up to 300 KB. */
    readonly bytes?: number;
    /** When they were counted: AWS does so every six hours. */
    readonly bytesAt?: string;
    /** Day on which the oldest run that is kept was created. */
    readonly oldestRun?: string;
    /** Day on which the next run expires. */
    readonly nextExpiry?: string;
  };
}

export interface StatsRequest {
  /** Today and so many days less one before, 1 to 366. @default 7 */
  readonly days?: number;
  readonly workflow?: string;
}

/** Runs that are failed now, of the same workflow, step and kind of error, thrown at the same place. */
export interface FailureView {
  readonly fingerprint: string;
  readonly workflow: string;
  readonly step?: string;
  /** Name of the error. */
  readonly name: string;
  /** Of the last of them, and its run. */
  readonly message: string;
  readonly example: string;
  readonly count: number;
  readonly firstSeenAt: string;
  readonly lastSeenAt: string;
}

export interface Queries {
  /** @throws {PawlError} invalid_request, for a query or a cursor that is not allowed */
  list(request?: ListRequest): Promise<RunPage>;
  /** @throws {PawlError} invalid_request */
  stats(request?: StatsRequest): Promise<Stats>;
  /** Most recent first; up to 1,000. */
  failures(request?: { readonly workflow?: string }): Promise<readonly FailureView[]>;
}
