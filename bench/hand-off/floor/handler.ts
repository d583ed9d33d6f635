/**
 * What any durable step needs at the least, and nothing else: a conditional write that says who is at work, the code, a
 * conditional write of its result, and a message for the next. Both writes are Pawl's, to the letter, on an item like a run's:
 * nothing decides on them here, and nobody looks at what they answer.
 */
import process from "node:process";
import { type AttributeValue, DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { SQSEvent } from "aws-lambda";
import { run } from "../code.ts";
import { type Hop, outputField, stateField } from "./item.ts";

const { TABLE, QUEUE } = process.env;
const dynamo = new DynamoDBClient({});
const sqs = new SQSClient({});

export async function handler({ Records }: SQSEvent): Promise<void> {
  for (const { body } of Records) {
    const message = JSON.parse(body) as Hop;
    const now = Date.now();
    const claimed = `r1.${now.toString(36)}.${(now + 30_000).toString(36)}.0a1b2c3d-1`;
    await claim(message, claimed);
    // The emulator waits 50 ms for the log of an invocation that writes none, and is slower for others meanwhile.
    console.log("hop", message.hop);
    const ran = await run();
    await commit(message, claimed, `s1.${now.toString(36)}.1e`, JSON.stringify(ran));
    if (message.hop + 1 === message.hops) continue;
    const next: Hop = { ...message, hop: message.hop + 1 };
    await sqs.send(new SendMessageCommand({ QueueUrl: QUEUE, MessageBody: JSON.stringify(next) }));
  }
}

function claim({ chain, hop, fingerprint }: Hop, state: string): Promise<void> {
  return write(chain, {
    condition: "#0 IN (:0,:1) AND #1=:2 AND #2=:3 AND #3=:4 AND attribute_not_exists(#4) AND attribute_not_exists(#5)",
    update: "SET #5=:5",
    names: ["v", "st", "e", "f", "k", stateField(hop)],
    values: [{ N: "1" }, { N: "2" }, { S: "running" }, { N: "0" }, { S: fingerprint }, { S: state }],
  });
}

function commit({ chain, hop }: Hop, claimed: string, state: string, output: string): Promise<void> {
  return write(chain, {
    condition: "#0=:0 AND #1=:1 AND #2=:2",
    update: "SET #2=:3,#3=:4",
    names: ["st", "e", stateField(hop), outputField(hop)],
    values: [{ S: "running" }, { N: "0" }, { S: claimed }, { S: state }, { S: output }],
  });
}

interface Write {
  readonly condition: string;
  readonly update: string;
  /** Of `#0` and so on. */
  readonly names: readonly string[];
  /** Of `:0` and so on. */
  readonly values: readonly AttributeValue[];
}

async function write(chain: string, { condition, update, names, values }: Write): Promise<void> {
  await dynamo.send(
    new UpdateItemCommand({
      TableName: TABLE,
      Key: { pk: { S: `r#${chain}` }, sk: { S: "run" } },
      ConditionExpression: condition,
      UpdateExpression: update,
      ExpressionAttributeNames: Object.fromEntries(names.map((name, at) => [`#${at}`, name])),
      ExpressionAttributeValues: Object.fromEntries(values.map((value, at) => [`:${at}`, value])),
      ReturnValues: "ALL_NEW",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    }),
  );
}
