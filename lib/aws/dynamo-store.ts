/** Runs, payloads and graphs on one DynamoDB table. Every change of a run is one conditional write (R1). */
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { limits } from "../definition/limits.ts";
import { runIn } from "../engine/barred.ts";
import { applyTransition, type Fields, type Transition } from "../engine/transition.ts";
import type { LoadedRun, OpenRuns, RunStore, WriteResult } from "../runtime/ports.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { removeBeside } from "./dynamo-removal.ts";
import {
  deleteRequest,
  getRequest,
  isAllowed,
  loadRequest,
  readFields,
  replaceRequest,
  updateRequest,
} from "./dynamo-requests.ts";
import { DynamoTexts, readText } from "./dynamo-texts.ts";
import { createOpenRuns } from "./open-runs.ts";
import { itemKey, payloadKeyAt } from "./table.ts";

export interface DynamoStoreOptions {
  readonly client: DynamoDBClient;
  /** Name of the table. */
  readonly table: string;
}

/** Payloads above `limits.itemPayloadBytes` belong into a bucket: put `withBlobs` over it. */
export function createDynamoStore({ client, table }: DynamoStoreOptions): RunStore & OpenRuns {
  const texts = new DynamoTexts(client, table);

  async function stored(runId: string): Promise<Fields | undefined> {
    const { Item } = await client.send(new GetItemCommand(getRequest(table, runId)));
    return Item && readFields(Item);
  }

  const get = async (runId: string): Promise<Fields | undefined> => runIn(await stored(runId));

  async function update(runId: string, transition: Transition): Promise<WriteResult> {
    const request = updateRequest(table, runId, transition);
    if (!isAllowed(request)) return replace(runId, transition);
    return conditionally(runId, async () => {
      const { Attributes = {} } = await client.send(new UpdateItemCommand(request));
      return readFields(Attributes);
    });
  }

  /** For the few transitions that change more fields than an expression can name, as the redrive of a large run does. */
  async function replace(runId: string, transition: Transition): Promise<WriteResult> {
    const before = await stored(runId);
    const after = applyTransition(transition, before);
    if (after === undefined) return { applied: false, fields: runIn(before) };
    const request = replaceRequest(table, runId, before, after);
    if (request === undefined) throw new Error(tooWide(runId, transition));
    return conditionally(runId, async () => {
      await client.send(new PutItemCommand(request));
      return after;
    });
  }

  const removeRest = (runId: string): Promise<void> =>
    removeBeside(client, table, runId, async () => (await get(runId)) === undefined);

  return {
    update,
    async remove(runId, guard) {
      try {
        await client.send(new DeleteItemCommand(deleteRequest(table, runId, guard)));
      } catch (error) {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      }
      await removeRest(runId);
      return true;
    },
    removeRest,
    get,
    async load(runId) {
      let fields: Fields | undefined;
      const payloads = new Map<string, string>();
      const larger = new Map<string, number>();
      let after: Record<string, AttributeValue> | undefined;
      do {
        const page = await client.send(new QueryCommand(loadRequest(table, runId, after)));
        for (const item of page.Items ?? []) {
          const key = payloadKeyAt(item.sk?.S ?? "");
          if (key === undefined) fields = runIn(readFields(item));
          else addPayload(key, item, payloads, larger);
        }
        after = page.LastEvaluatedKey;
        // The run comes first: without it, there is nothing to read on for.
      } while (after !== undefined && fields !== undefined);
      return fields === undefined ? undefined : ({ fields, payloads, larger } satisfies LoadedRun);
    },
    putPayload: (runId, key, json) => texts.put(itemKey.payload(runId, key), json, limits.shownPayloadBytes),
    async getPayloads(runId, keys) {
      const found = await texts.get(keys.map((key) => itemKey.payload(runId, key)));
      return new Map([...found].map(([sk, text]) => [payloadKeyAt(sk) ?? sk, text]));
    },
    async putGraph(workflow, fingerprint, json) {
      // A graph is stored before the first run that is pinned to it: no run is of a workflow that lists do not know.
      await settleAll([
        texts.putName(itemKey.workflow(workflow)),
        texts.put(itemKey.graph(workflow, fingerprint), json, limits.itemPayloadBytes),
      ]);
    },
    async getGraph(workflow, fingerprint) {
      const key = itemKey.graph(workflow, fingerprint);
      return (await texts.get([key])).get(key.sk);
    },
    ...createOpenRuns(client, table),
  };
}

async function conditionally(runId: string, write: () => Promise<Fields>): Promise<WriteResult> {
  try {
    return { applied: true, fields: await write() };
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) {
      return { applied: false, fields: error.Item && runIn(readFields(error.Item)) };
    }
    if (isTooLarge(error)) throw new Error(tooLarge(runId), { cause: error });
    throw error;
  }
}

function addPayload(
  key: string,
  item: Readonly<Record<string, AttributeValue>>,
  payloads: Map<string, string>,
  larger: Map<string, number>,
): void {
  const stored = readText(item);
  if ("text" in stored) payloads.set(key, stored.text);
  else larger.set(key, stored.bytes);
}

/** DynamoDB has no name of its own for it. */
function isTooLarge(error: unknown): boolean {
  return error instanceof Error && error.name === "ValidationException" && /item size/i.test(error.message);
}

function tooLarge(runId: string): string {
  return `Run ${runId} would not fit into a DynamoDB item of 400 KB any more, and was not changed. Its steps' heartbeat details and its tags share that item: send smaller ones.`;
}

function tooWide(runId: string, { set, remove = [] }: Transition): string {
  const fields = Object.keys(set).length + remove.length;
  return `A change of ${fields} fields of run ${runId} does not fit into an expression of DynamoDB (4 KB, 300 operators), and was not made. Only a run that has not begun or has ended takes so many at once.`;
}
