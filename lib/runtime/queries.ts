/** What users ask about many runs at once. The same words in HTTP, client and CLI; times are ISO 8601. */
import { limits } from "../definition/limits.ts";
import { decodeRun } from "../engine/codec.ts";
import { StoredRunError } from "../engine/field-reader.ts";
import { dayOf, listedParent } from "../engine/projection.ts";
import type { RunError, RunState, RunStatus } from "../engine/run-state.ts";
import type { Clock, Logger } from "./ports.ts";
import type { FailureGroup, FoundRun, RunIndex } from "./run-index.ts";
import { parseFailuresRequest, parseListRequest, parseStatsRequest } from "./run-query.ts";
import { statsOf } from "./run-stats.ts";
import { settleAll } from "./settle-all.ts";

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
  /** The run that started it, and the step: of the run of an item of a map, the one that has the map. */
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

const dayMs = 24 * 3_600_000;

export function createQueries({
  index,
  clock,
  logger,
}: {
  readonly index: RunIndex;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
}): Queries {
  /** A run that cannot be read must not hide the others. */
  function summariesOf({ runId, fields }: FoundRun): RunSummary[] {
    try {
      return [summaryOf(decodeRun(runId, fields))];
    } catch (error) {
      // RangeError: a time that no date can hold.
      if (!(error instanceof StoredRunError || error instanceof RangeError)) throw error;
      logger.warn("A run is left out of a list: it cannot be read", { runId, error });
      return [];
    }
  }

  return {
    async list(request = {}) {
      const { runs, cursor } = await index.list(parseListRequest(request));
      return { runs: runs.flatMap(summariesOf), ...(cursor === undefined ? {} : { cursor }) };
    },
    async stats(request = {}) {
      const { days, workflow } = parseStatsRequest(request);
      const nowMs = clock.now();
      const range = { from: dayOf(nowMs - (days - 1) * dayMs), to: dayOf(nowMs) };
      const [rows, extent] = await settleAll([index.counts(range), index.extent()]);
      const asked = workflow === undefined ? rows : rows.filter((row) => row.workflow === workflow);
      return statsOf(range, asked, extent, nowMs);
    },
    async failures(request = {}) {
      const { workflow } = parseFailuresRequest(request);
      const groups = await index.failures();
      return groups
        .filter((group) => group.count > 0 && (workflow === undefined || group.workflow === workflow))
        .sort(lastFirst)
        .slice(0, limits.failureGroups)
        .map(viewFailure);
    },
  };
}

function summaryOf(run: RunState): RunSummary {
  const { runId, workflow, status, error, tags, epoch, createdAtMs, startAtMs, endedAtMs, expiresAtMs } = run;
  const parent = listedParent(run);
  return {
    runId,
    workflow,
    status,
    ...(error === undefined ? {} : { error }),
    ...(tags === undefined ? {} : { tags }),
    ...(parent === undefined ? {} : { parent }),
    redrives: epoch,
    createdAt: iso(createdAtMs),
    ...(startAtMs === undefined ? {} : { startAt: iso(startAtMs) }),
    ...(endedAtMs === undefined ? {} : { endedAt: iso(endedAtMs) }),
    ...(expiresAtMs === undefined ? {} : { expiresAt: iso(expiresAtMs) }),
  };
}

function lastFirst(a: FailureGroup, b: FailureGroup): number {
  if (a.atMs !== b.atMs) return b.atMs - a.atMs;
  return a.fingerprint < b.fingerprint ? -1 : 1;
}

function viewFailure(group: FailureGroup): FailureView {
  const { fingerprint, workflow, step, name, message, runId, count, firstAtMs, atMs } = group;
  return {
    fingerprint,
    workflow,
    ...(step === undefined ? {} : { step }),
    name,
    message,
    example: runId,
    count,
    firstSeenAt: iso(firstAtMs),
    lastSeenAt: iso(atMs),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
