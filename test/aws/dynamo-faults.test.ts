// Hunts a fault of DynamoDB or of the way to it that loses a write, hides a refusal, leaves something out or never ends.
import { describe, expect, test } from "vitest";
import { createDynamoClient } from "../../lib/aws/clients.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import { limits } from "../../lib/definition/limits.ts";
import { type Answer, type Asked, scriptedEndpoint } from "./scripted-endpoint.ts";

const throttled: Answer = { error: "ProvisionedThroughputExceededException", status: 400 };
const broken: Answer = { error: "InternalServerError", status: 500 };
const refused = (item?: unknown): Answer => ({
  error: "ConditionalCheckFailedException",
  status: 400,
  with: item === undefined ? {} : { Item: item },
});
const keys = { pk: { S: "r#run" }, sk: { S: "run" } };
const stored = { ...keys, ip: { S: "running#1" }, st: { S: "running" }, n: { N: "1" } };
const claim = { guard: [{ field: "st", is: "equal", value: "running" }], set: { s0: "r1" } } as const;

async function storeAgainst(...answers: readonly Answer[]) {
  const asked = await scriptedEndpoint(...answers);
  return { asked, store: createDynamoStore({ client: createDynamoClient(), table: "table" }) };
}

describe("a write", () => {
  test.each([
    ["a throttled table", throttled],
    ["an error of DynamoDB's own", broken],
    ["a lost connection", "reset"],
  ] as const)("goes on after %s", async (_what, fault) => {
    const { asked, store } = await storeAgainst(fault, { ok: { Attributes: { ...stored, s0: { S: "r1" } } } });
    expect(await store.update("run", claim)).toEqual({ applied: true, fields: { st: "running", n: 1, s0: "r1" } });
    expect(asked.map(({ operation }) => operation)).toEqual(["UpdateItem", "UpdateItem"]);
    expect(asked[1]?.body).toEqual(asked[0]?.body);
  });

  test("whose answer was lost is refused when it is repeated, and brings its own image for the engine to know", async () => {
    const { store } = await storeAgainst("reset", refused({ ...stored, s0: { S: "r1" } }));
    expect(await store.update("run", claim)).toEqual({ applied: false, fields: { st: "running", n: 1, s0: "r1" } });
  });

  test("to a run that is not there is refused without one", async () => {
    const { store } = await storeAgainst(refused());
    expect(await store.update("run", claim)).toEqual({ applied: false, fields: undefined });
  });

  test.for(["silence", "processing"] as const)(
    "waits for an answer (%s) as long as is allowed, and then asks again",
    { timeout: 20_000 },
    async (none) => {
      const { asked, store } = await storeAgainst(none, { ok: { Attributes: stored } });
      const beganAtMs = Date.now();
      await store.update("run", claim);
      expect(asked).toHaveLength(2);
      expect(Date.now() - beganAtMs).toBeGreaterThanOrEqual(limits.requestMs - 50);
      expect(Date.now() - beganAtMs).toBeLessThan(limits.requestMs + 2_000);
    },
  );

  test("that fails at every try is thrown as it is", async () => {
    const { asked, store } = await storeAgainst(broken);
    await expect(store.update("run", claim)).rejects.toMatchObject({ name: "InternalServerError" });
    expect(asked).toHaveLength(limits.requestTries);
  });

  test("that is no fault of the way is not repeated", async () => {
    const { asked, store } = await storeAgainst({ error: "ResourceNotFoundException", status: 400 });
    await expect(store.update("run", claim)).rejects.toMatchObject({ name: "ResourceNotFoundException" });
    expect(asked).toHaveLength(1);
  });

  test("that would make the run too large for an item says so, and what shares that item", async () => {
    const message = "Item size to update has exceeded the maximum allowed size";
    const { store } = await storeAgainst({ error: "ValidationException", status: 400, with: { message } });
    await expect(store.update("run", claim)).rejects.toThrow(
      /^Run run would not fit into a DynamoDB item of 400 KB any more, and was not changed\..*tags/,
    );
  });
});

describe("a write of more fields than an expression can name", () => {
  const names = Array.from({ length: 1_200 }, (_, index) => `o${index}`);
  const redrive = {
    guard: [{ field: "st", is: "equal", value: "failed" }],
    set: { st: "running" },
    remove: names,
  } as const;
  const ended = { ...keys, st: { S: "failed" }, e: { N: "0" }, o7: { S: "1" }, kept: { S: "x" } };

  test("replaces the item of a run that has ended, and only as it was read", async () => {
    const { asked, store } = await storeAgainst({ ok: { Item: ended } }, { ok: {} });
    const after = { st: "running", e: 0, kept: "x" };
    expect(await store.update("run", redrive)).toEqual({ applied: true, fields: after });
    expect(asked.map(({ operation }) => operation)).toEqual(["GetItem", "PutItem"]);
    expect(asked[0]?.body).toMatchObject({ ConsistentRead: true });
    expect(asked[1]?.body).toMatchObject({ ConditionExpression: "#0=:0 AND #1=:1" });
  });

  test("is refused with the image when somebody else was first, before the read or after it", async () => {
    const { store } = await storeAgainst({ ok: { Item: ended } }, refused({ ...ended, st: { S: "running" } }));
    expect(await store.update("run", redrive)).toMatchObject({ applied: false, fields: { st: "running" } });
    const later = await storeAgainst({ ok: { Item: stored } });
    expect(await later.store.update("run", redrive)).toEqual({ applied: false, fields: { st: "running", n: 1 } });
    expect(later.asked).toHaveLength(1);
  });

  test("is not made on a run that may change meanwhile", async () => {
    const { asked, store } = await storeAgainst({ ok: { Item: stored } });
    await expect(store.update("run", { ...redrive, guard: [] })).rejects.toThrow("A change of 1201 fields of run run");
    expect(asked).toHaveLength(1);
  });
});

describe("payloads", () => {
  const item = (key: string) => ({ pk: { S: "r#run" }, sk: { S: `p#${key}` }, text: { S: `"${key}"` } });
  const keyOf = (key: string) => ({ pk: { S: "r#run" }, sk: { S: `p#${key}` } });
  const batch = (found: readonly string[], left: readonly string[]): Answer => ({
    ok: {
      Responses: { table: found.map(item) },
      UnprocessedKeys: left.length === 0 ? {} : { table: { Keys: left.map(keyOf), ConsistentRead: true } },
    },
  });
  const askedFor = (asked: readonly Asked[]): number[] =>
    asked.map(({ body }) => (body as { RequestItems: { table: { Keys: unknown[] } } }).RequestItems.table.Keys.length);

  test("that DynamoDB has not read yet are asked for until they are there", async () => {
    const { asked, store } = await storeAgainst(
      batch(["a"], ["b", "c"]),
      batch([], ["b", "c"]),
      batch(["c"], ["b"]),
      batch(["b"], []),
    );
    const found = await store.getPayloads("run", ["a", "b", "c", "d"]);
    expect([...found.keys()].sort()).toEqual(["a", "b", "c"]);
    expect(askedFor(asked)).toEqual([4, 2, 2, 1]);
  });

  test("that are never read are an error, not missing ones", { timeout: 20_000 }, async () => {
    const { asked, store } = await storeAgainst(batch(["a"], ["b"]), batch([], ["b"]));
    await expect(store.getPayloads("run", ["a", "b"])).rejects.toThrow("has not read 1 items of r#run in 7 tries");
    expect(asked).toHaveLength(1 + limits.batchTries);
  });

  test("are asked for in batches that DynamoDB takes, each once", async () => {
    const { asked, store } = await storeAgainst(batch([], []));
    const many = Array.from({ length: 250 }, (_, n) => `k${n}`);
    await store.getPayloads("run", [...many, ...many]);
    expect(askedFor(asked)).toEqual([100, 100, 50]);
    await store.getPayloads("run", []);
    expect(asked).toHaveLength(3);
  });

  test("whose parts are not all there are an error, not a shorter text", async () => {
    const head = { pk: { S: "r#run" }, sk: { S: "p#a" }, bytes: { N: "4" }, hash: { S: "h" }, parts: { N: "2" } };
    const part = { pk: { S: "r#run" }, sk: { S: "b#h#0" }, text: { S: "ab" } };
    const { store } = await storeAgainst(
      { ok: { Responses: { table: [head] } } },
      { ok: { Responses: { table: [part] } } },
    );
    await expect(store.getPayloads("run", ["a"])).rejects.toThrow("cannot be read: 4 bytes were stored, 2 are there");
  });

  test("written before by somebody, or by a try whose answer was lost, are as good as written", async () => {
    const { store } = await storeAgainst("reset", refused());
    await expect(store.putPayload("run", "a", "1")).resolves.toBeUndefined();
  });

  test("of a run come page by page, and not at all without the run", async () => {
    const key = { pk: { S: "r#run" }, sk: { S: "p#b" } };
    const { asked, store } = await storeAgainst(
      { ok: { Items: [stored, item("b")], LastEvaluatedKey: key } },
      { ok: { Items: [item("a")] } },
    );
    expect([...((await store.load("run"))?.payloads.keys() ?? [])]).toEqual(["b", "a"]);
    expect(asked[1]?.body).toMatchObject({ ExclusiveStartKey: key });
    const none = await storeAgainst({ ok: { Items: [item("b")], LastEvaluatedKey: key } });
    expect(await none.store.load("run")).toBeUndefined();
    expect(none.asked).toHaveLength(1);
  });
});
