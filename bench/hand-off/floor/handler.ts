/**
 * What any durable step needs at the least, and nothing else: a conditional write that says who is at work, the code, a
 * conditional write of its result, and a message for the next.
 */
import process from "node:process";
import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { SQSEvent } from "aws-lambda";
import { run } from "../code.ts";
import { type Hop, hopField, running } from "./item.ts";

const { TABLE, QUEUE } = process.env;
const dynamo = new DynamoDBClient({});
const sqs = new SQSClient({});

export async function handler({ Records }: SQSEvent): Promise<void> {
  for (const { body } of Records) {
    const message = JSON.parse(body) as Hop;
    await write(message, "attribute_not_exists(#hop)", running);
    // The emulator waits 50 ms for the log of an invocation that writes none, and is slower for others meanwhile.
    console.log("hop", message.hop);
    const ran = await run();
    await write(message, "#hop = :running", JSON.stringify(ran), { ":running": { S: running } });
    if (message.hop + 1 === message.hops) continue;
    const next: Hop = { ...message, hop: message.hop + 1 };
    await sqs.send(new SendMessageCommand({ QueueUrl: QUEUE, MessageBody: JSON.stringify(next) }));
  }
}

async function write({ chain, hop }: Hop, condition: string, state: string, values = {}): Promise<void> {
  await dynamo.send(
    new UpdateItemCommand({
      TableName: TABLE,
      Key: { pk: { S: chain } },
      ConditionExpression: condition,
      UpdateExpression: "SET #hop = :state",
      ExpressionAttributeNames: { "#hop": hopField(hop) },
      ExpressionAttributeValues: { ":state": { S: state }, ...values },
      ReturnValues: "ALL_NEW",
    }),
  );
}
