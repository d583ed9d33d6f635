// Hunts: units that the meter counts otherwise than DynamoDB does. Each write and read of whole runs is repeated on an
// emulator that measures items by itself, and what it says it would bill is compared, request by request. (It takes a
// character for a byte; texts here are ASCII.)
import {
  BatchGetItemCommand,
  CreateTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import dynalite from "dynalite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  batchGetRequest,
  getRequest,
  keyAttributes,
  putOnceRequest,
  updateRequest,
} from "../../lib/aws/dynamo-requests.ts";
import { itemKey, tableSchema } from "../../lib/aws/table.ts";
import { usualAssumptions } from "../../lib/cost/assumptions.ts";
import { Meter, meterBackend, type Part } from "../../lib/cost/meter.ts";
import type { Usage } from "../../lib/cost/usage.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import type { EmbeddedBackend } from "../../lib/embedded/backend.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { startTestEngine } from "../../lib/testing/test-engine.ts";
import { chain } from "../cost/chain.ts";

const server = dynalite({ createTableMs: 0 });
let client: DynamoDBClient;
let tables = 0;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  client = new DynamoDBClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "x", secretAccessKey: "x" },
  });
});

afterAll(async () => {
  client.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

async function createTable(): Promise<string> {
  const TableName = `table-${++tables}`;
  const { partitionKey, sortKey } = tableSchema;
  await client.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: [partitionKey, sortKey].map((name) => ({ AttributeName: name, AttributeType: "S" })),
      KeySchema: [
        { AttributeName: partitionKey, KeyType: "HASH" },
        { AttributeName: sortKey, KeyType: "RANGE" },
      ],
      ProvisionedThroughput: { ReadCapacityUnits: 1_000, WriteCapacityUnits: 1_000 },
    }),
  );
  return TableName;
}

interface Request {
  readonly what: string;
  readonly send: () => Promise<number | undefined>;
}

/** Requests of a run, in their order, and what the meter makes of them. */
class Recorder extends Meter {
  readonly requests: Request[] = [];
  readonly units: number[] = [];

  override add(part: Part, usage: Partial<Usage>): void {
    super.add(part, usage);
    if (part === "lists and counts" || part === "refused writes") return;
    const units = (usage.tableWrites ?? 0) + (usage.reads ?? 0);
    if (units > 0) this.units.push(units);
  }
}

const total = { ReturnConsumedCapacity: "TOTAL" } as const;

/** The same storage. What it is asked is kept as requests: the run is in virtual time, which waits for no emulator. */
function recorded(own: EmbeddedBackend, recorder: Recorder, table: string): EmbeddedBackend {
  return {
    ...own,
    async update(id, transition) {
      const result = await own.update(id, transition);
      // Of a refused write the emulator tells nothing.
      if (!result.applied) return result;
      recorder.requests.push({
        what: `write ${JSON.stringify(transition.set)}`,
        send: async () => {
          const request = { ...updateRequest(table, id, transition), ...total };
          return (await client.send(new UpdateItemCommand(request))).ConsumedCapacity?.CapacityUnits;
        },
      });
      return result;
    },
    async putPayload(id, key, json) {
      await own.putPayload(id, key, json);
      recorder.requests.push({
        what: `put ${key}`,
        send: async () => {
          const request = { ...putOnceRequest(table, itemKey.payload(id, key), { text: json }), ...total };
          return (await client.send(new PutItemCommand(request))).ConsumedCapacity?.CapacityUnits;
        },
      });
    },
    async get(id) {
      recorder.requests.push({
        what: `get ${id}`,
        send: async () => {
          const request = { ...getRequest(table, id), ...total };
          return (await client.send(new GetItemCommand(request))).ConsumedCapacity?.CapacityUnits;
        },
      });
      return own.get(id);
    },
    async getPayloads(id, keys) {
      recorder.requests.push({
        what: `read ${keys.join()}`,
        send: async () => {
          const all = keys.map((key) => keyAttributes(itemKey.payload(id, key)));
          const request = { ...batchGetRequest(table, all), ...total };
          return (await client.send(new BatchGetItemCommand(request))).ConsumedCapacity?.[0]?.CapacityUnits;
        },
      });
      return own.getPayloads(id, keys);
    },
  };
}

async function record(of: Workflow): Promise<Recorder> {
  const table = await createTable();
  const recorder = new Recorder();
  await using engine = await startTestEngine(
    { workflows: [of] },
    {
      backend: (own, clock) =>
        meterBackend(recorded(own, recorder, table), {
          counterOf: () => recorder,
          assumptions: usualAssumptions,
          clock,
        }),
      blobs: (own) => own,
    },
  );
  const run = await engine.start(of, {});
  await run.toEnd();
  return recorder;
}

describe("what the meter counts is what is billed", () => {
  test.each([
    ["steps that begin without a claim", chain(10, 900, true)],
    ["a chain whose run outgrows a kilobyte", chain(60, 20)],
    ["outputs of a kilobyte and more", chain(6, 1_100)],
    ["outputs around what a read unit holds", chain(4, 4_060)],
    [
      "attempts that fail, and a run that does",
      workflow("fails", {}, (w) => {
        const flaky = w.step("flaky", {
          run: ({ attempt }) => {
            if (attempt < 3) throw new Error("not yet");
          },
        });
        w.step("last", {
          after: [flaky],
          run: () => {
            throw new FatalError("no");
          },
        });
      }),
    ],
  ])("for %s, request by request", async (_, of) => {
    const { requests, units } = await record(of);
    expect(requests.length).toBeGreaterThan(3);
    const all: object[] = [];
    for (const [index, { what, send }] of requests.entries()) {
      const billed = await send();
      if (billed !== units[index]) all.push({ what, billed, metered: units[index] });
    }
    expect(all).toEqual([]);
    expect(units.length).toBe(requests.length);
  });

  test("for a map, whose items go on at the same time, in all", async () => {
    const of = workflow("map", {}, (w) =>
      w.map("items", { items: () => Array.from({ length: 40 }, (_, index) => index), run: ({ item }) => `${item}` }),
    );
    const { requests, units } = await record(of);
    let billed = 0;
    for (const { send } of requests) billed += (await send()) ?? 0;
    expect(units.reduce((sum, one) => sum + one, 0)).toBe(billed);
    expect(billed).toBeGreaterThan(80);
  });
});
