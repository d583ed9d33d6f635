/** Keeps lists and statistics on the table, from batches of changes of runs: `projection-writes.ts` says what is written. */
import {
  type AttributeValue,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DeleteItemCommandInput,
  type DynamoDBClient,
  TransactionCanceledException,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { limits } from "../definition/limits.ts";
import type { Clock, Randomness } from "../runtime/ports.ts";
import { pause, type Refusal, sendEntries } from "./entries.ts";
import { inParallel } from "./in-parallel.ts";
import {
  cleanUps,
  countedIdsOf,
  countTransaction,
  type EntryWrite,
  keyId,
  lastEntryWrites,
  type ProjectedChange,
  transactionEnds,
  writeRequest,
} from "./projection-writes.ts";
import { tableSchema } from "./table.ts";

export interface ProjectionsOptions {
  readonly client: DynamoDBClient;
  /** Name of the table. */
  readonly table: string;
  readonly clock: Clock;
  readonly random: Randomness;
}

export interface Projected {
  /** So many from the beginning are kept. Some of those behind may be, too: they may come again. */
  readonly done: number;
  /** Why the next one is not. */
  readonly error?: Error;
}

export interface Projections {
  /** @param changes in the order of the stream; `undefined` stands for what changes nothing */
  keep(changes: readonly (ProjectedChange | undefined)[]): Promise<Projected>;
}

export function createProjections(options: ProjectionsOptions): Projections {
  return {
    async keep(changes) {
      const entries = await writeEntries(changes, options);
      const counted = await count(changes.slice(0, entries.done), options);
      return counted.error === undefined ? entries : counted;
    },
  };
}

async function writeEntries(
  changes: readonly (ProjectedChange | undefined)[],
  options: ProjectionsOptions,
): Promise<Projected> {
  const writes = lastEntryWrites(changes);
  const batches = Array.from({ length: Math.ceil(writes.length / limits.batchWrites) }, (_, batch) =>
    writes.slice(batch * limits.batchWrites, (batch + 1) * limits.batchWrites),
  );
  const failures = await inParallel(batches, limits.projectionWrites, async (batch) => {
    try {
      const refusals = await sendEntries(batch, (part) => batchWrite(part, options), options);
      const refused = refusals.flatMap(({ index }) => batch[index] ?? []);
      return refused.length === 0
        ? []
        : [{ writes: refused, error: new UnwrittenError(options.table, refused.length) }];
    } catch (error) {
      return [{ writes: batch, error: asError(error) }];
    }
  });
  const [first] = failures
    .flat()
    .map(({ writes, error }) => ({ done: Math.min(...writes.map(({ firstChange }) => firstChange)), error }))
    .toSorted((a, b) => a.done - b.done);
  return first ?? { done: changes.length };
}

async function batchWrite(writes: readonly EntryWrite[], { client, table }: ProjectionsOptions): Promise<Refusal[]> {
  const request = { RequestItems: { [table]: writes.map(writeRequest) } };
  const { UnprocessedItems } = await client.send(new BatchWriteItemCommand(request));
  const left = new Set(
    (UnprocessedItems?.[table] ?? []).map(({ PutRequest, DeleteRequest }) => {
      const item = PutRequest?.Item ?? DeleteRequest?.Key;
      return keyId({ pk: item?.[tableSchema.partitionKey]?.S ?? "", sk: item?.[tableSchema.sortKey]?.S ?? "" });
    }),
  );
  return writes.flatMap(({ key }, index) =>
    left.has(keyId(key)) ? [{ index, code: "Unprocessed", message: "", isFinal: false }] : [],
  );
}

async function count(
  changes: readonly (ProjectedChange | undefined)[],
  options: ProjectionsOptions,
): Promise<Projected> {
  let done = 0;
  for (const end of transactionEnds(changes)) {
    const part = changes.slice(done, end).filter((change) => change !== undefined);
    try {
      await transact(part, options);
      await inParallel(cleanUps(options.table, part), limits.projectionWrites, (request) => cleanUp(request, options));
    } catch (error) {
      return { done, error: asError(error) };
    }
    done = end;
  }
  return { done };
}

/** Until all of them are counted; those that were before are left out. */
async function transact(changes: readonly ProjectedChange[], options: ProjectionsOptions): Promise<void> {
  const { client, table, clock, random } = options;
  let left = changes;
  const groups = new Map<string, Readonly<Record<string, AttributeValue>>>();
  for (let tries = 1; left.length > 0; tries++) {
    try {
      await client.send(new TransactWriteItemsCommand(countTransaction(table, left, groups)));
      return;
    } catch (error) {
      if (tries === limits.batchTries || !(error instanceof TransactionCanceledException)) throw error;
      const reasons = error.CancellationReasons ?? [];
      const items = reasons.flatMap(({ Code, Item }) =>
        Code === "ConditionalCheckFailed" && Item !== undefined ? [Item] : [],
      );
      // A group that was found has gone since: nothing is left of it.
      const isGone = reasons.some(({ Code, Item }) => Code === "ConditionalCheckFailed" && Item === undefined);
      if (isGone) groups.clear();
      const counted = new Set(items.flatMap(countedIdsOf));
      left = left.filter(({ id }) => !counted.has(id));
      for (const item of items.filter(({ count: open }) => open !== undefined)) {
        groups.set(item[tableSchema.sortKey]?.S ?? "", item);
      }
      if (reasons.some(({ Code = "" }) => passing.has(Code))) await pause(clock, random, tries);
      else if (items.length === 0 && !isGone) throw error;
    }
  }
}

/** What another transaction, or a table that is busy, refuses one with. */
const passing: ReadonlySet<string> = new Set([
  "TransactionConflict",
  "ThrottlingError",
  "ProvisionedThroughputExceeded",
]);

async function cleanUp(request: DeleteItemCommandInput, { client }: ProjectionsOptions): Promise<void> {
  try {
    await client.send(new DeleteItemCommand(request));
  } catch (error) {
    // Something is left: most rows are not empty.
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** DynamoDB did not take items, at each of `limits.batchTries` tries. The stream brings the changes again. */
class UnwrittenError extends Error {
  override readonly name = "UnwrittenError";

  constructor(table: string, count: number) {
    super(`${count} entries of lists were not written in ${limits.batchTries} tries: table ${table} is throttled.`);
  }
}
