/**
 * Finds and counts runs on the table. How many requests an answer takes never depends on how many runs there are:
 *
 * | question | requests |
 * |---|---|
 * | a page of a workflow | one query for each of the 4 shards of each status asked for (all: 28), and one batch for each 100 runs of the page |
 * | a page of all workflows | the same for each workflow that the table has ever had, and one query for their names |
 * | a page by tag, parent or fingerprint alone, or with times | one query, and one batch for each 100 runs |
 * | the same with further criteria | up to `limits.listReads` entries, 100 at a time: up to 5 queries and 5 batches |
 * | counts | one query for each MB of rows: some 1,000 rows, of one day and workflow each |
 * | failures | one query for each MB of groups: one or two |
 * | extent | two queries, and `DescribeTable` once a minute |
 *
 * Invariants:
 * 1. What is found is checked on the run itself, as index and entries lag behind it: no page has a run that does not match.
 * 2. A page never begins before the place where the one before it ended, and no run ever changes its place.
 */
import {
  type AttributeValue,
  DescribeTableCommand,
  type DynamoDBClient,
  QueryCommand,
  type QueryCommandInput,
} from "@aws-sdk/client-dynamodb";
import { limits } from "../definition/limits.ts";
import { decodeRun, field } from "../engine/codec.ts";
import { StoredRunError } from "../engine/field-reader.ts";
import { type Entry, entryKey, project } from "../engine/projection.ts";
import { type RunStatus, runStatuses } from "../engine/run-state.ts";
import type { Fields } from "../engine/transition.ts";
import { PawlError } from "../runtime/errors.ts";
import type { Clock } from "../runtime/ports.ts";
import { type Position, readCursor, writeCursor } from "../runtime/run-cursor.ts";
import type { CountRow, FoundRun, FoundRuns, RunFilter, RunIndex, StoredExtent } from "../runtime/run-index.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { batchGet } from "./batch-get.ts";
import { readFields } from "./dynamo-requests.ts";
import { readFailureGroup } from "./failure-group.ts";
import { inParallel } from "./in-parallel.ts";
import {
  countsRequest,
  entriesRequest,
  isEmptyRange,
  type PositionRange,
  partitionRequest,
  positionRange,
  runsRequest,
} from "./index-requests.ts";
import {
  createdAtOf,
  itemKey,
  listPartition,
  listPosition,
  runIdAt,
  runIdOf,
  statusShards,
  statusSortPrefix,
  tableSchema,
} from "./table.ts";

type Item = Readonly<Record<string, AttributeValue>>;

export interface DynamoRunIndexOptions {
  readonly client: DynamoDBClient;
  /** Name of the table. */
  readonly table: string;
  readonly clock: Clock;
}

export function createDynamoRunIndex({ client, table, clock }: DynamoRunIndexOptions): RunIndex {
  const lists = new Lists(client, table);
  let bytes: { readonly value: Promise<number | undefined>; readonly atMs: number } | undefined;

  /** DynamoDB counts them every six hours: there is no need to ask often. */
  function storedBytes(): Promise<number | undefined> {
    const now = clock.now();
    if (bytes === undefined || Math.abs(now - bytes.atMs) >= bytesKeptMs) {
      const value = describe().catch((error: unknown) => {
        if (bytes?.value === value) bytes = undefined;
        throw error;
      });
      bytes = { value, atMs: now };
    }
    return bytes.value;
  }

  async function describe(): Promise<number | undefined> {
    const { Table } = await client.send(new DescribeTableCommand({ TableName: table }));
    return Table?.TableSizeBytes;
  }

  return {
    async list({ filter, limit, cursor }) {
      const before = cursor === undefined ? undefined : readCursor(cursor, filter);
      const range = positionRange(filter, before);
      if (isEmptyRange(range)) return { runs: [] };
      const request = { filter, limit, before, range };
      const [entry, ...others] = entriesOf(filter);
      return entry === undefined ? lists.ofIndex(request) : lists.ofEntry(entry, others.length > 0, request);
    },

    async counts(days) {
      const { items, isAll } = await lists.all((after) => countsRequest(table, days, after), limits.countRows);
      if (!isAll) throw new PawlError("invalid_request", tooManyRows(days));
      return items.flatMap((item) => readCounts(item) ?? []);
    },

    async failures() {
      const { items } = await lists.all(
        (after) => partitionRequest(table, listPartition.failures, { after }),
        limits.failureGroups,
      );
      return items.slice(0, limits.failureGroups).flatMap((item) => readFailureGroup(item) ?? []);
    },

    async extent() {
      const [size, oldest, expiry] = await settleAll([
        storedBytes(),
        lists.first(listPartition.counts),
        lists.first(listPartition.expiries),
      ]);
      const [oldestDay] = oldest?.split("#") ?? [];
      return {
        ...(size === undefined ? {} : { bytes: size }),
        ...(oldestDay === undefined ? {} : { oldestDay }),
        ...(expiry === undefined ? {} : { nextExpiryDay: expiry }),
      } satisfies StoredExtent;
    },
  };
}

const bytesKeptMs = 60_000;

interface Request {
  readonly filter: RunFilter;
  readonly limit: number;
  readonly before: Position | undefined;
  readonly range: PositionRange;
}

/** A run where a list has it. */
interface Place {
  readonly runId: string;
  /** See `listPosition`. */
  readonly position: string;
}

class Lists {
  readonly #client: DynamoDBClient;
  readonly #table: string;

  constructor(client: DynamoDBClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  /** By workflow and status: the newest of each partition, merged. */
  async ofIndex({ filter, limit, before, range }: Request): Promise<FoundRuns> {
    const statuses = [...new Set(filter.statuses ?? runStatuses)];
    const workflows = filter.workflow === undefined ? await this.#workflows() : [filter.workflow];
    const partitions = workflows.flatMap((workflow) =>
      statuses.flatMap((status) => Array.from({ length: statusShards }, (_, shard) => ({ workflow, status, shard }))),
    );
    const answers = await inParallel(partitions, limits.listQueries, async (partition) => {
      const { places, isCut } = await this.#places(
        runsRequest(this.#table, partition, range, mostOf(limit, before)),
        (item) => placeInIndex(item, partition.workflow),
      );
      return { places, unread: isCut ? places.at(-1)?.position : undefined };
    });
    // What a partition did not tell comes after the last that it told, and after all that come before that one.
    const complete = answers.reduce((last, { unread = "" }) => (unread > last ? unread : last), "");
    const found = distinct(answers.flatMap(({ places }) => places))
      .filter(({ position }) => position >= complete && isAfter(position, before))
      .toSorted((a, b) => (a.position < b.position ? 1 : -1));
    const page = found.slice(0, limit);
    const isMore = found.length > limit || complete !== "";
    const runs = await this.#runs(page, filter);
    return { runs, ...(isMore ? cursorAt(page.at(-1), complete, filter) : {}) };
  }

  /** Of the runs that have the entry, those that match the rest of the filter, too. */
  async ofEntry(entry: Entry, hasOthers: boolean, { filter, limit, before, range }: Request): Promise<FoundRuns> {
    const isWhole = !hasOthers && filter.workflow === undefined && filter.statuses === undefined;
    const mostReads = isWhole ? limit : limits.listReads;
    const step = isWhole ? limit : limits.batchKeys;
    const pk = listPartition.entry(entry);
    const runs: FoundRun[] = [];
    let rest = { before, range };
    for (let read = 0; read < mostReads; ) {
      const asked = Math.min(step, mostReads - read);
      const request = entriesRequest(this.#table, pk, rest.range, mostOf(asked, rest.before));
      const { places, isCut } = await this.#places(request, placeOfEntry);
      const next = places.filter(({ position }) => isAfter(position, rest.before));
      const page = next.slice(0, asked);
      const last = page.at(-1);
      if (last === undefined) return { runs };
      for (const run of await this.#runs(page, filter)) {
        runs.push(run);
        if (runs.length < limit || (run.runId === last.runId && next.length === page.length && !isCut)) continue;
        return { runs, cursor: writeCursor(positionOf(run.runId, page), filter) };
      }
      if (next.length === page.length && !isCut) return { runs };
      read += page.length;
      const end = positionOf(last.runId, page);
      rest = { before: end, range: positionRange(filter, end) };
    }
    return { runs, ...(rest.before === undefined ? {} : { cursor: writeCursor(rest.before, filter) }) };
  }

  /** Everything that the request finds, page by page. @param most when there are so many items, no more are asked for */
  async all(
    request: (after: Item | undefined) => QueryCommandInput,
    most: number,
  ): Promise<{ readonly items: readonly Item[]; readonly isAll: boolean }> {
    const items: Item[] = [];
    let after: Item | undefined;
    do {
      const answer = await this.#client.send(new QueryCommand(request(after)));
      items.push(...(answer.Items ?? []));
      after = answer.LastEvaluatedKey;
    } while (after !== undefined && items.length < most);
    return { items, isAll: after === undefined };
  }

  /** The sort key that a partition begins with. */
  async first(pk: string): Promise<string | undefined> {
    const { Items = [] } = await this.#client.send(new QueryCommand(partitionRequest(this.#table, pk, { limit: 1 })));
    return Items[0]?.[tableSchema.sortKey]?.S;
  }

  async #workflows(): Promise<string[]> {
    const { items, isAll } = await this.all(
      (after) => partitionRequest(this.#table, listPartition.workflows, { limit: limits.listedWorkflows, after }),
      limits.listedWorkflows,
    );
    if (!isAll) throw new PawlError("invalid_request", tooManyWorkflows);
    return items.flatMap((item) => item[tableSchema.sortKey]?.S ?? []);
  }

  async #places(
    request: QueryCommandInput,
    read: (item: Item) => Place | undefined,
  ): Promise<{ readonly places: readonly Place[]; readonly isCut: boolean }> {
    const { Items = [], LastEvaluatedKey } = await this.#client.send(new QueryCommand(request));
    // A query that found as many as it asked for says that there may be more, too.
    const isCut = LastEvaluatedKey !== undefined && Items.length < (request.Limit ?? 0);
    return { places: Items.flatMap((item) => read(item) ?? []), isCut };
  }

  /** The runs themselves, in this order, without those that are gone or do not match any more. */
  async #runs(places: readonly Place[], filter: RunFilter): Promise<readonly FoundRun[]> {
    const keys = places.map(({ runId }) => itemKey.run(runId));
    const items = await batchGet(this.#client, this.#table, keys, { isConsistent: false });
    const byPk = new Map(items.map((item) => [item[tableSchema.partitionKey]?.S, readFields(item, true)]));
    return places.flatMap(({ runId, position }) => {
      const fields = byPk.get(itemKey.run(runId).pk);
      // Another run of the same id has another place.
      const isThere = fields !== undefined && listPosition(Number(fields[field.createdAt]), runId) === position;
      return isThere && matches(runId, fields, filter) ? [{ runId, fields }] : [];
    });
  }
}

function tooManyRows({ from, to }: { readonly from: string; readonly to: string }): string {
  return `The counts of ${from} to ${to} have more than ${limits.countRows} rows, one for each day and workflow. Ask for fewer days.`;
}

const tooManyWorkflows = `The table has had more than ${limits.listedWorkflows} workflows, too many for one list. Name the workflow, a tag, a parent or a fingerprint.`;

/** One more than are wanted tells whether there are more; and the run that the page before ended with comes once more. */
function mostOf(limit: number, before: Position | undefined): number {
  return limit + (before === undefined ? 1 : 2);
}

function isAfter(position: string, before: Position | undefined): boolean {
  return before === undefined || position < listPosition(before.createdAtMs, before.runId);
}

/** A run whose status changes while partitions are read may be in two of them. */
function distinct(places: readonly Place[]): readonly Place[] {
  return [...new Map(places.map((place) => [place.runId, place])).values()];
}

function placeInIndex(item: Item, workflow: string): Place | undefined {
  const runId = runIdAt(item[tableSchema.partitionKey]?.S ?? "");
  const at = item[tableSchema.statusIndex.sortKey]?.S;
  if (runId === undefined || at === undefined) return undefined;
  return { runId, position: at.slice(statusSortPrefix(workflow).length) };
}

function placeOfEntry(item: Item): Place | undefined {
  const position = item[tableSchema.sortKey]?.S;
  return position === undefined ? undefined : { position, runId: item.id?.S ?? runIdOf(position) };
}

function positionOf(runId: string, places: readonly Place[]): Position {
  const { position = "" } = places.find((place) => place.runId === runId) ?? {};
  return { createdAtMs: createdAtOf(position), runId };
}

/** @param complete where the page ends when it is empty */
function cursorAt(last: Place | undefined, complete: string, filter: RunFilter): { readonly cursor: string } {
  const { runId, position } = last ?? { runId: runIdOf(complete), position: complete };
  return { cursor: writeCursor({ createdAtMs: createdAtOf(position), runId }, filter) };
}

/** Those that narrow a list down most come first. */
function entriesOf({ parent, fingerprint, tag }: RunFilter): Entry[] {
  return [
    ...(parent === undefined ? [] : [{ kind: "parent", runId: parent } as const]),
    ...(fingerprint === undefined ? [] : [{ kind: "failure", fingerprint } as const]),
    ...(tag === undefined ? [] : [{ kind: "tag", ...tag } as const]),
  ];
}

function matches(runId: string, fields: Fields, filter: RunFilter): boolean {
  const { workflow, statuses, fromMs = Number.NEGATIVE_INFINITY, toMs = Number.POSITIVE_INFINITY } = filter;
  const createdAtMs = Number(fields[field.createdAt]);
  if (workflow !== undefined && fields[field.workflow] !== workflow) return false;
  if (statuses !== undefined && !statuses.includes(fields[field.status] as RunStatus)) return false;
  if (!(createdAtMs >= fromMs && createdAtMs < toMs)) return false;
  const wanted = entriesOf(filter).map(entryKey);
  if (wanted.length === 0) return true;
  const own = new Set(entryKeysOf(runId, fields));
  return wanted.every((key) => own.has(key));
}

/** None, of a run that cannot be read. */
function entryKeysOf(runId: string, fields: Fields): readonly string[] {
  try {
    return project(decodeRun(runId, fields)).entries.map(entryKey);
  } catch (error) {
    if (error instanceof StoredRunError) return [];
    throw error;
  }
}

function readCounts(item: Item): CountRow | undefined {
  const [day, workflow] = item[tableSchema.sortKey]?.S?.split("#") ?? [];
  if (day === undefined || workflow === undefined) return undefined;
  const counts = Object.entries(item).flatMap(([name, { N }]) => (N === undefined ? [] : [[name, Number(N)] as const]));
  // Runs from before there were counts take from them when they end.
  return { day, workflow, counts: Object.fromEntries(counts.filter(([, count]) => count > 0)) };
}
