// A table on which the test plays the stream: changes of runs wait until they are handed to whoever keeps lists and statistics.
import { BatchWriteItemCommand, DeleteItemCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { createDynamoClient } from "../../lib/aws/clients.ts";
import { keyAttributes, replaceRequest } from "../../lib/aws/dynamo-requests.ts";
import { createDynamoRunIndex } from "../../lib/aws/dynamo-run-index.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import { projectChange, type RunChange } from "../../lib/aws/projection-writes.ts";
import { createProjections, type Projections } from "../../lib/aws/projections.ts";
import { itemKey } from "../../lib/aws/table.ts";
import { decodeRun, encodeRun } from "../../lib/engine/codec.ts";
import { isRunId } from "../../lib/engine/record-id.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import type { Fields } from "../../lib/engine/transition.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import type { RunIndex } from "../../lib/runtime/run-index.ts";
import { systemClock, systemRandomness } from "../../lib/runtime/system.ts";
import { createTable, type TestTable } from "./aws.ts";

export class StreamedTable {
  readonly client: DynamoDBClient;
  readonly name: string;
  readonly store: RunStore;
  readonly index: RunIndex;
  readonly projections: Projections;
  /** How often each operation was asked for, by the client of this table. */
  readonly requests = new Map<string, number>();
  readonly #table: TestTable;
  readonly #images = new Map<string, Fields>();
  #waiting: RunChange[] = [];
  #second = 1_795_262_400;

  private constructor(client: DynamoDBClient, table: TestTable) {
    this.client = client;
    this.name = table.name;
    this.#table = table;
    const clock = systemClock();
    const store = createDynamoStore({ client, table: table.name });
    this.index = createDynamoRunIndex({ client, table: table.name, clock });
    this.projections = createProjections({ client, table: table.name, clock, random: systemRandomness });
    this.store = {
      ...store,
      update: async (runId, transition) => {
        const result = await store.update(runId, transition);
        if (result.applied) this.#seen(runId, result.fields);
        return result;
      },
    };
  }

  static async create(): Promise<StreamedTable> {
    const client = createDynamoClient();
    const streamed = new StreamedTable(client, await createTable(client));
    client.middlewareStack.add(
      (next, { commandName = "" }) =>
        (args) => {
          const operation = commandName.replace(/Command$/, "");
          streamed.requests.set(operation, (streamed.requests.get(operation) ?? 0) + 1);
          return next(args);
        },
      { step: "initialize", name: "count" },
    );
    return streamed;
  }

  async remove(runId: string): Promise<void> {
    await this.client.send(new DeleteItemCommand({ TableName: this.name, Key: keyAttributes(itemKey.run(runId)) }));
    this.#seen(runId, undefined);
  }

  /** Writes new runs as they are, many at once; their changes wait as those of others. */
  async put(runs: readonly RunState[]): Promise<void> {
    for (let at = 0; at < runs.length; at += 100) {
      const batches = [0, 25, 50, 75].map((from) => runs.slice(at + from, at + Math.min(from + 25, 100)));
      await Promise.all(batches.filter((batch) => batch.length > 0).map((batch) => this.#putBatch(batch)));
    }
    for (const run of runs) this.#seen(run.runId, encodeRun(run));
  }

  async #putBatch(runs: readonly RunState[]): Promise<void> {
    const requests = runs.map((run) => ({
      PutRequest: { Item: replaceRequest(this.name, run.runId, undefined, encodeRun(run))!.Item },
    }));
    await this.client.send(new BatchWriteItemCommand({ RequestItems: { [this.name]: requests } }));
  }

  /** What waits, in its order; it waits no more. */
  take(): readonly RunChange[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }

  /** Hands on what waits, in batches. */
  async settle(batchSize = 100): Promise<void> {
    const changes = this.take();
    for (let at = 0; at < changes.length; at += batchSize) await this.keep(changes.slice(at, at + batchSize));
  }

  async keep(changes: readonly RunChange[]): Promise<void> {
    const { error } = await this.projections.keep(changes.map(projectChange));
    if (error !== undefined) throw error;
  }

  async close(): Promise<void> {
    await this.#table.delete();
    this.client.destroy();
  }

  #seen(runId: string, fields: Fields | undefined): void {
    if (!isRunId(runId)) return;
    const before = this.#images.get(runId);
    if (fields === undefined) this.#images.delete(runId);
    else this.#images.set(runId, fields);
    const read = (image: Fields | undefined) => image && decodeRun(runId, image);
    // Several changes share a second.
    const second = this.#second + Math.floor(this.#waiting.length / 7);
    this.#waiting.push({ second, before: read(before), after: read(fields) });
  }
}
