/**
 * Finds runs and counts them. Stores keep what `engine/projection.ts` says of each run; it may lag behind the runs
 * themselves, by about a second on AWS, so it serves people and bulk operations, never a decision about a run.
 */
import type { FailureSight } from "../engine/projection.ts";
import type { RunStatus } from "../engine/run-state.ts";
import type { Fields } from "../engine/transition.ts";

/** All that are given must hold. */
export interface RunFilter {
  readonly workflow?: string;
  /** One of these. @default any */
  readonly statuses?: readonly RunStatus[];
  /** Created then or later. */
  readonly fromMs?: number;
  /** Created before then. */
  readonly toMs?: number;
  readonly tag?: { readonly key: string; readonly value: string };
  /** Started by this run: its children, and the runs of the items of its maps. */
  readonly parent?: string;
  /** Failed like this. */
  readonly fingerprint?: string;
}

export interface RunListRequest {
  readonly filter: RunFilter;
  /** Runs of one page at most, up to `limits.listedRuns`. */
  readonly limit: number;
  /** Where the page before ended: its `cursor`, of the same filter. */
  readonly cursor?: string;
}

export interface FoundRun {
  readonly runId: string;
  readonly fields: Fields;
}

export interface FoundRuns {
  /**
   * Newest first: by time of creation, then by id, both descending. Runs that are started while somebody turns pages
   * neither move nor repeat the others.
   */
  readonly runs: readonly FoundRun[];
  /** Absent: there are no more. While it is there, a page may have fewer runs than asked for, even none. */
  readonly cursor?: string;
}

/** Counts of the runs that were created on one day. */
export interface CountRow {
  readonly day: string;
  readonly workflow: string;
  /** By `CountName`; what is not there is 0. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface FailureGroup extends FailureSight {
  /** Runs that are failed like this now. */
  readonly count: number;
  /** Of the first failure of this kind, whatever became of it. */
  readonly firstAtMs: number;
  /** `runId`, `message` and `atMs` are of the last. */
}

/** What is stored, as a whole. */
export interface StoredExtent {
  /** Of runs and payloads, as far as the store can tell without counting. */
  readonly bytes?: number;
  /** When the bytes were counted. @default now */
  readonly bytesAtMs?: number;
  /** Day on which the oldest run that is kept was created. */
  readonly oldestDay?: string;
  /** Day on which the next run expires. */
  readonly nextExpiryDay?: string;
}

export interface RunIndex {
  /** In a number of reads that does not depend on how many runs there are. */
  list(request: RunListRequest): Promise<FoundRuns>;
  /** Rows of these days, both included, in no particular order. */
  counts(days: { readonly from: string; readonly to: string }): Promise<readonly CountRow[]>;
  /** Kinds of open failures, up to `limits.failureGroups`, in no particular order. */
  failures(): Promise<readonly FailureGroup[]>;
  extent(): Promise<StoredExtent>;
}
