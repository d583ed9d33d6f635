// Hunts a transition that DynamoDB carries out otherwise than `applyTransition`, whatever the run holds (R1, R10).
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDynamoClient } from "../../lib/aws/clients.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import { applyTransition, type Condition, type Fields, type Transition } from "../../lib/engine/transition.ts";
import { type Aws, createTable, openAws, type TestTable } from "./aws.ts";

let aws: Aws;
let client: DynamoDBClient;
let table: TestTable;

beforeAll(async () => {
  aws = await openAws();
  client = createDynamoClient();
  table = await createTable(client);
});
afterAll(async () => {
  await table.delete();
  client.destroy();
  await aws.stop();
});

// Few names and values, so that conditions meet what is there.
const name = fc.constantFrom("s0", "st", "n", "pk", "_pk", "ttl", "with space", "#0", "size");
const text = fc.constantFrom("", "running", "7", "ü\u0000\u2028");
const number = fc.oneof(fc.constantFrom(0, 1, 7, -1, 0.1, 1_800_000_000_123), fc.integer());
const value = fc.oneof(text, number);
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({ field: name, is: fc.constant("absent" as const) }),
  fc.record({ field: name, is: fc.constant("equal" as const), value }),
  fc.record({ field: name, is: fc.constant("oneOf" as const), values: fc.array(value, { maxLength: 4 }) }),
  fc.record({ field: name, is: fc.constant("below" as const), value: number }),
);
const transition: fc.Arbitrary<Transition> = fc.record({
  guard: fc.array(condition, { maxLength: 2 }),
  set: fc.dictionary(name, value, { maxKeys: 3, noNullPrototype: true }),
  remove: fc.array(name, { maxLength: 2 }),
  // Decimal digits add up exactly, halves of a bit do not: the engine only counts.
  add: fc.dictionary(fc.constantFrom("n", "count"), fc.integer({ min: -5, max: 5 }), {
    maxKeys: 1,
    noNullPrototype: true,
  }),
});

const isCountable = ({ add = {} }: Transition, fields: Fields | undefined): boolean =>
  Object.keys(add).every((field) => Number.isInteger(fields?.[field] ?? 0));

test("any transitions, one after the other, come to the same", async () => {
  const store = createDynamoStore({ client, table: table.name });
  await fc.assert(
    fc.asyncProperty(fc.array(transition, { minLength: 1, maxLength: 8 }), async (transitions) => {
      const runId = `run-${crypto.randomUUID()}`;
      let fields: Fields | undefined;
      for (const one of transitions) {
        if (!isCountable(one, fields)) continue;
        const after = applyTransition(one, fields);
        const result = await store.update(runId, one);
        expect(result).toEqual({ applied: after !== undefined, fields: after ?? fields });
        fields = after ?? fields;
      }
      expect(await store.get(runId)).toEqual(fields);
    }),
    { numRuns: 150 },
  );
});
