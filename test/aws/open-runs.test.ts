// Hunts an open run that the audit never comes to, or a page that never ends.
import { expect, test } from "vitest";
import { createDynamoClient } from "../../lib/aws/clients.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import { type Answer, scriptedEndpoint } from "./scripted-endpoint.ts";

const none: Answer = { ok: { Items: [] } };
const item = (runId: string) => ({ pk: { S: `r#${runId}` }, sk: { S: "run" } });
const found = (runIds: readonly string[], more = false): Answer => ({
  ok: { Items: runIds.map(item), ...(more ? { LastEvaluatedKey: item(runIds.at(-1) ?? "") } : {}) },
});

async function openRunsAgainst(...answers: readonly Answer[]) {
  const asked = await scriptedEndpoint(...answers);
  const store = createDynamoStore({ client: createDynamoClient(), table: "table" });
  const partitions = (): string[] =>
    asked.map(
      ({ body }) =>
        (body as { ExpressionAttributeValues: { ":ip": { S: string } } }).ExpressionAttributeValues[":ip"].S,
    );
  return { asked, store, partitions };
}

test("every partition of every status that is no end is looked into, once", async () => {
  const { store, partitions } = await openRunsAgainst(none);
  expect(await store.page(undefined)).toEqual({ runIds: [], cursor: undefined });
  const expected = ["running", "paused", "unwinding"].flatMap((status) =>
    Array.from({ length: 4 }, (_, shard) => `${status}#${shard}`),
  );
  expect(partitions()).toEqual(expected);
});

test("a page ends with the first partition that has runs, and the next goes on after it", async () => {
  const { asked, store, partitions } = await openRunsAgainst(
    none,
    found(["a", "b"], true),
    found(["c"]),
    found(["d"]),
    none,
  );
  const first = await store.page(undefined);
  expect(first.runIds).toEqual(["a", "b"]);
  const second = await store.page(first.cursor);
  expect(second.runIds).toEqual(["c"]);
  expect(asked[2]?.body).toMatchObject({ ExclusiveStartKey: item("b") });
  const third = await store.page(second.cursor);
  expect(third.runIds).toEqual(["d"]);
  expect(asked[3]?.body).not.toHaveProperty("ExclusiveStartKey");
  expect(partitions()).toEqual(["running#0", "running#1", "running#1", "running#2"]);
  expect(await store.page(third.cursor)).toEqual({ runIds: [], cursor: undefined });
});

test("the last page has no cursor", async () => {
  const { store } = await openRunsAgainst(...Array.from({ length: 11 }, () => none), found(["z"]));
  expect(await store.page(undefined)).toEqual({ runIds: ["z"], cursor: undefined });
});

test.each(["x", "", Buffer.from(`{"partition":-1}`).toString("base64url"), Buffer.from("{}").toString("base64url")])(
  "%j is no cursor",
  async (cursor) => {
    const { asked, store } = await openRunsAgainst(none);
    await expect(store.page(cursor)).rejects.toThrow("is no cursor of open runs. Begin without one.");
    expect(asked).toHaveLength(0);
  },
);
