// The shape of all that a story has written: in the embedded file, on queues, and as it would lie in the table of a stack.
import { replaceRequest } from "../../lib/aws/dynamo-requests.ts";
import { writeStackAddress } from "../../lib/aws/environment.ts";
import { countTransaction, projectChange, writeRequest } from "../../lib/aws/projection-writes.ts";
import { sendCopy, sendDeadLetter } from "../../lib/aws/sqs-requests.ts";
import { itemKey } from "../../lib/aws/table.ts";
import { decodeRun } from "../../lib/engine/codec.ts";
import { isRunId } from "../../lib/engine/record-id.ts";
import { applyTransition, type Fields } from "../../lib/engine/transition.ts";
import { registerWaiter, repliesDue } from "../../lib/engine/waiter.ts";
import type { Dump } from "./dump.ts";
import type { Written } from "./recorder.ts";
import { numbersLeftOut, runFieldForm, Shapes } from "./shapes.ts";

export function shapesOf({ records, payloads, graphs, messages }: Written, file: Dump): Shapes {
  const shapes = new Shapes();
  for (const { id, fields } of records) {
    if (isRunId(id)) addRun(shapes, id, fields);
    else shapes.fields(`record ${id.split("#")[0]}`, fields, (_, value) => typeof value);
  }
  for (const { key, json } of payloads) addPayload(shapes, key, json);
  for (const graph of graphs) shapes.json("graph", JSON.parse(graph));
  for (const message of messages) shapes.json(`message ${message.kind}`, message);
  shapes.json("message, given back", sendCopy("", { body: "", redeliveries: 1 }, 1_000).MessageAttributes);
  const dead = { body: "", reason: "r", taskQueue: "default", receiveCount: 1 };
  shapes.json("message, dead", sendDeadLetter("", dead).MessageAttributes);
  addKeys(shapes);
  for (const statement of file.schema) shapes.add(`file, version ${file.userVersion}`, statement);
  addEnvironment(shapes);
  return shapes;
}

function addRun(shapes: Shapes, id: string, fields: Fields): void {
  const waited = applyTransition(registerWaiter("0-abc", 1_800_000_000_000), fields) ?? fields;
  shapes.fields("run", waited, runFieldForm);
  const item = replaceRequest("table", id, undefined, fields)?.Item ?? {};
  for (const [name, value] of Object.entries(item)) {
    shapes.add("table: run", `${numbersLeftOut(name)}: ${Object.keys(value).join()}`);
  }
  const run = decodeRun(id, waited);
  for (const { notice } of repliesDue(run, 0)) shapes.json("notice", notice);
  const projected = projectChange({ second: 1, before: undefined, after: run });
  if (projected === undefined) return;
  const withoutIds = { ...projected, id: "id" };
  for (const { Update } of countTransaction("table", [withoutIds], new Map()).TransactItems ?? []) {
    const [kind = ""] = Update?.Key?.pk?.S?.split("#") ?? [];
    for (const name of Object.values(Update?.ExpressionAttributeNames ?? {})) {
      shapes.add(`table: ${kind}`, numbersLeftOut(name));
    }
  }
  for (const entry of projected.entries) {
    for (const name of Object.keys(writeRequest(entry).PutRequest?.Item ?? {})) shapes.add("table: l", name);
  }
}

/** Outputs, inputs and signals are the users' own. */
function addPayload(shapes: Shapes, key: string, json: string): void {
  const [kind = ""] = key.split("#");
  shapes.add("payload", numbersLeftOut(key.replace(/(?<=#)(?:id\d+|[\w-]{22})$/, "<id>")));
  if (["in", "out", "sig", "cb", "ans"].includes(kind)) return;
  if (kind === "t") shapes.add("payload t", numbersLeftOut(json.replace(/\..*/, ".<run id>")));
  else if (kind === "ask") shapes.json("payload ask", { ...(JSON.parse(json) as object), payload: "", schema: "" });
  else shapes.json(`payload ${kind}`, JSON.parse(json));
}

function addKeys(shapes: Shapes): void {
  const run = itemKey.run("run");
  const keys = {
    run,
    record: itemKey.run("gate#w#k"),
    payload: itemKey.payload("run", "in#h"),
    graph: itemKey.graph("w", "f"),
    cursorKey: itemKey.cursorKey,
    part: itemKey.part(run, "h", 1),
    workflow: itemKey.workflow("w"),
    counts: itemKey.counts("day", "w"),
    expiries: itemKey.expiries("day"),
    failures: itemKey.failures("f"),
    counted: itemKey.counted(1),
    tag: itemKey.entry({ kind: "tag", key: "k", value: "v" }, "position"),
    parent: itemKey.entry({ kind: "parent", runId: "run" }, "position"),
    failure: itemKey.entry({ kind: "failure", fingerprint: "f" }, "position"),
  };
  for (const [name, { pk, sk }] of Object.entries(keys)) shapes.add("table: keys", `${name}: ${pk} ${sk}`);
}

function addEnvironment(shapes: Shapes): void {
  const address = writeStackAddress({
    table: "",
    blobs: "",
    queues: {},
    scheduleGroup: "",
    scheduleRole: "",
    replies: { prefix: "", key: "" },
  });
  for (const name of Object.keys(address)) shapes.add("environment", name);
}
