/**
 * Reads what `sqlite-run-index.ts` keeps. Every question seeks one place of an index and reads on from there, so that
 * its cost follows from the size of the answer and not from how many runs there are:
 *
 * | question | rows read |
 * |---|---|
 * | a page of all runs, of some statuses, of a workflow | its limit and one more, for each status asked for (a workflow without status: for each of the seven), and each run of the page |
 * | a page by tag, parent or fingerprint alone, or with times | its limit and one more, and each run of the page |
 * | the same with further criteria | until it is full, up to `limits.listReads` and one more, with up to three look-ups each |
 * | counts | one for each workflow, day and name |
 * | failures | one for each group, up to `limits.failureGroups` |
 * | extent | two |
 */
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { limits } from "../definition/limits.ts";
import { dayOf, type Entry, entryKey } from "../engine/projection.ts";
import { runStatuses } from "../engine/run-state.ts";
import type { Fields } from "../engine/transition.ts";
import { type Position, readCursor, writeCursor } from "../runtime/run-cursor.ts";
import type {
  CountRow,
  FailureGroup,
  FoundRuns,
  RunFilter,
  RunListRequest,
  StoredExtent,
} from "../runtime/run-index.ts";
import { type EmbeddedBackend, openRunsPerPage } from "./backend.ts";

/**
 * @param read calls it with the lists as they are, when nothing is being written
 * @param storedBytes `undefined` where nobody knows
 */
export function createRunLists(
  read: <T>(ask: (lists: RunLists) => T) => Promise<T>,
  storedBytes: () => number | undefined,
): Pick<EmbeddedBackend, "runIndex" | "openRuns"> {
  return {
    runIndex: {
      async list(request) {
        const { cursor, filter } = request;
        const before = cursor === undefined ? undefined : readCursor(cursor, filter);
        return read((lists) => lists.list(request, before));
      },
      counts: (days) => read((lists) => lists.counts(days)),
      failures: () => read((lists) => lists.failures()),
      extent: () =>
        read((lists) => {
          const bytes = storedBytes();
          return { ...lists.extent(), ...(bytes === undefined ? {} : { bytes }) };
        }),
    },
    openRuns: { page: (cursor) => read((lists) => lists.openRuns(cursor)) },
  };
}

/** Answers at once. */
export class RunLists {
  readonly #statements: Readonly<Record<keyof typeof reads, StatementSync>>;
  readonly #fieldsOf: (runId: string) => Fields | undefined;

  /** @param fieldsOf the run as it is stored */
  constructor(db: DatabaseSync, fieldsOf: (runId: string) => Fields | undefined) {
    const prepared = Object.entries(reads).map(([name, sql]) => [name, db.prepare(sql)] as const);
    this.#statements = Object.fromEntries(prepared) as Record<keyof typeof reads, StatementSync>;
    this.#fieldsOf = fieldsOf;
  }

  list({ filter, limit }: RunListRequest, before: Position | undefined): FoundRuns {
    const [entry, ...others] = entriesOf(filter);
    const { page, end } =
      entry === undefined
        ? this.#pageOfIndex(filter, limit, before)
        : this.#pageOfEntry(entry, others, filter, limit, before);
    const runs = page.flatMap(({ runId }) => {
      const fields = this.#fieldsOf(runId);
      return fields === undefined ? [] : [{ runId, fields }];
    });
    return { runs, ...(end === undefined ? {} : { cursor: writeCursor(end, filter) }) };
  }

  counts({ from, to }: { readonly from: string; readonly to: string }): CountRow[] {
    const rows = new Map<string, CountRow & { readonly counts: Record<string, number> }>();
    for (const { day, workflow, name, count } of this.#statements.counts.all(from, to)) {
      const key = `${day as string} ${workflow as string}`;
      const row = rows.get(key) ?? { day: day as string, workflow: workflow as string, counts: {} };
      row.counts[name as string] = count as number;
      rows.set(key, row);
    }
    return [...rows.values()];
  }

  /** Those that were last seen, when there are more than are told. */
  failures(): FailureGroup[] {
    return this.#statements.failures.all(limits.failureGroups).map((row) => ({
      fingerprint: row.fingerprint as string,
      count: row.count as number,
      workflow: row.workflow as string,
      ...(row.step === null ? {} : { step: row.step as string }),
      name: row.name as string,
      message: row.message as string,
      runId: row.run_id as string,
      atMs: row.last_at_ms as number,
      firstAtMs: row.first_at_ms as number,
    }));
  }

  extent(): Omit<StoredExtent, "bytes" | "bytesAtMs"> {
    const oldestMs = this.#statements.oldest.get()?.created_at_ms as number | null;
    const expiryMs = this.#statements.nextExpiry.get()?.expires_at_ms as number | null;
    return {
      ...(oldestMs === null ? {} : { oldestDay: dayOf(oldestMs) }),
      ...(expiryMs === null ? {} : { nextExpiryDay: dayOf(expiryMs) }),
    };
  }

  openRuns(cursor: string | undefined): { readonly runIds: readonly string[]; readonly cursor: string | undefined } {
    const rows = this.#statements.open.all(cursor ?? "", openRunsPerPage);
    const runIds = rows.map(({ run_id }) => run_id as string);
    return { runIds, cursor: runIds.length < openRunsPerPage ? undefined : runIds.at(-1) };
  }

  #pageOfIndex(filter: RunFilter, limit: number, before: Position | undefined): Page {
    const { workflow } = filter;
    const statuses = [...new Set(filter.statuses ?? runStatuses)];
    const range = rangeOf(filter, before);
    const { all, byStatus, byWorkflow } = this.#statements;
    let rows: Record<string, SQLOutputValue>[];
    if (workflow !== undefined) {
      rows = statuses.flatMap((status) => byWorkflow.all(...range, limit + 1, status, workflow));
    } else if (statuses.length < runStatuses.length) {
      rows = statuses.flatMap((status) => byStatus.all(...range, limit + 1, status));
    } else rows = all.all(...range, limit + 1);
    const found = rows.map(positionOf).sort(newestFirst);
    const page = found.slice(0, limit);
    return { page, end: found.length > limit ? page.at(-1) : undefined };
  }

  /** Of the runs that have the entry, those that match the others, too. */
  #pageOfEntry(
    entry: Entry,
    others: readonly Entry[],
    filter: RunFilter,
    limit: number,
    before: Position | undefined,
  ): Page {
    const { workflow, statuses } = filter;
    const isWhole = others.length === 0 && workflow === undefined && statuses === undefined;
    const mostReads = isWhole ? limit : limits.listReads;
    const range = rangeOf(filter, before);
    const [second, third] = others.map(entryKey);
    // Rows are read as they are asked for: a full page ends that.
    const rows = this.#statements.byEntry.iterate(
      ...[...range, mostReads + 1, entryKey(entry)],
      ...[workflow ?? null, statuses === undefined ? null : `,${statuses.join(",")},`, second ?? null, third ?? null],
    );
    const page: Position[] = [];
    let last: Position | undefined;
    let read = 0;
    for (const row of rows) {
      if (page.length === limit || read === mostReads) return { page, end: last };
      last = positionOf(row);
      read += 1;
      if (row.matches === 1) page.push(last);
    }
    return { page, end: undefined };
  }
}

interface Page {
  readonly page: readonly Position[];
  /** Where the next page begins; absent: nothing is left. */
  readonly end: Position | undefined;
}

/** Those that narrow a list down most come first. */
function entriesOf({ parent, fingerprint, tag }: RunFilter): Entry[] {
  return [
    ...(parent === undefined ? [] : [{ kind: "parent", runId: parent } as const]),
    ...(fingerprint === undefined ? [] : [{ kind: "failure", fingerprint } as const]),
    ...(tag === undefined ? [] : [{ kind: "tag", ...tag } as const]),
  ];
}

/** Before this time and id, and at this time or later. No id comes before the empty one. */
function rangeOf({ fromMs, toMs }: RunFilter, before: Position | undefined): [number, string, number] {
  const until = toMs ?? Number.MAX_VALUE;
  const [createdAtMs, runId] =
    before === undefined || before.createdAtMs >= until ? [until, ""] : [before.createdAtMs, before.runId];
  return [createdAtMs, runId, fromMs ?? -Number.MAX_VALUE];
}

function positionOf(row: Record<string, SQLOutputValue>): Position {
  return { createdAtMs: row.created_at_ms as number, runId: row.run_id as string };
}

function newestFirst(a: Position, b: Position): number {
  return a.createdAtMs === b.createdAtMs ? (a.runId < b.runId ? 1 : -1) : b.createdAtMs - a.createdAtMs;
}

const inRange = "(created_at_ms, run_id) < (?1, ?2) AND created_at_ms >= ?3";
const newest = "ORDER BY created_at_ms DESC, run_id DESC LIMIT ?4";
const hasEntry =
  "EXISTS (SELECT 1 FROM run_entry AS o WHERE o.created_at_ms = e.created_at_ms AND o.run_id = e.run_id AND o.entry =";

/** INDEXED BY makes a statement that cannot use its index fail, instead of reading everything. */
export const reads = {
  all: `SELECT created_at_ms, run_id FROM run_index WHERE ${inRange} ${newest}`,
  byStatus: `
    SELECT created_at_ms, run_id FROM run_index INDEXED BY run_index_status WHERE status = ?5 AND ${inRange} ${newest}`,
  byWorkflow: `
    SELECT created_at_ms, run_id FROM run_index INDEXED BY run_index_workflow
    WHERE workflow = ?6 AND status = ?5 AND ${inRange} ${newest}`,
  byEntry: `
    SELECT e.created_at_ms, e.run_id,
      (?6 IS NULL OR i.workflow = ?6) AND (?7 IS NULL OR instr(?7, ',' || i.status || ',') > 0)
      AND (?8 IS NULL OR ${hasEntry} ?8)) AND (?9 IS NULL OR ${hasEntry} ?9)) AS matches
    FROM run_entry AS e CROSS JOIN run_index AS i ON i.created_at_ms = e.created_at_ms AND i.run_id = e.run_id
    WHERE e.entry = ?5 AND (e.created_at_ms, e.run_id) < (?1, ?2) AND e.created_at_ms >= ?3
    ORDER BY e.created_at_ms DESC, e.run_id DESC LIMIT ?4`,
  counts: "SELECT day, workflow, name, count FROM run_count WHERE day BETWEEN ? AND ?",
  failures: "SELECT * FROM run_failure INDEXED BY run_failure_last ORDER BY last_at_ms DESC LIMIT ?",
  oldest: "SELECT min(created_at_ms) AS created_at_ms FROM run_index",
  nextExpiry: "SELECT min(expires_at_ms) AS expires_at_ms FROM run_index WHERE expires_at_ms IS NOT NULL",
  open: "SELECT run_id FROM run_open WHERE run_id > ? ORDER BY run_id LIMIT ?",
};
