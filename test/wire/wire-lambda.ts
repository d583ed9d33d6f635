// A stack without constructs: queues, table, bucket and schedules on the emulator, and Lambda's event sources played here.
import process from "node:process";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { CreateScheduleGroupCommand } from "@aws-sdk/client-scheduler";
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  type Message as SqsMessage,
} from "@aws-sdk/client-sqs";
import type { Context } from "aws-lambda";
import type { Handlers } from "../../functions/index.ts";
import { createDynamoClient, createSqsClient } from "../../lib/aws/clients.ts";
import {
  environmentNames,
  type QueueAddress,
  type StackAddress,
  writeStackAddress,
} from "../../lib/aws/environment.ts";
import { createS3Client } from "../../lib/aws/s3-client.ts";
import { createSchedulerClient } from "../../lib/aws/scheduler.ts";
import { createTable } from "./aws.ts";
import { sqsEvent } from "./sqs-source.ts";

export interface WireStack {
  readonly address: StackAddress;
  readonly archiveUrl: string;
  /** Hands messages to the handlers until it is stopped. Returns what stops it. */
  serve(handlers: Pick<Handlers, "worker" | "deadLetters">): () => Promise<void>;
  createQueue(name: string): Promise<QueueAddress>;
  /** What is in the queue, as soon as something is. */
  wait(url: string, withinMs: number): Promise<readonly SqsMessage[]>;
}

/** What a function of this stack finds in its environment is put into that of this process. */
export async function createWireStack(): Promise<WireStack> {
  const sqs = createSqsClient();
  const id = crypto.randomUUID().slice(0, 8);
  const createQueue = async (name: string): Promise<QueueAddress> => {
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: `${id}-${name}` }));
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: QueueUrl!, AttributeNames: ["QueueArn"] }),
    );
    return { url: QueueUrl!, arn: Attributes!.QueueArn! };
  };
  const [queue, dead, archive] = [
    await createQueue("default"),
    await createQueue("dead"),
    await createQueue("archive"),
  ];
  const table = await createTable(createDynamoClient());
  const blobs = `pawl-${id}`;
  await createS3Client().send(new CreateBucketCommand({ Bucket: blobs }));
  await createSchedulerClient().send(new CreateScheduleGroupCommand({ Name: id }));
  const address = {
    table: table.name,
    blobs,
    queues: { default: queue },
    scheduleGroup: id,
    scheduleRole: "arn:aws:iam::000000000000:role/schedules",
    replies: { prefix: `${id}-replies-` },
  };
  Object.assign(process.env, writeStackAddress(address), {
    POWERTOOLS_LOG_LEVEL: "CRITICAL",
    [environmentNames.stack]: "Wire",
    [environmentNames.taskQueue]: "default",
    [environmentNames.deadLetterQueue]: dead.url,
    [environmentNames.archive]: archive.url,
    [environmentNames.eventBus]: "default",
  });

  const receive = async (url: string, waitSeconds: number): Promise<readonly SqsMessage[]> => {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: url,
        MaxNumberOfMessages: 10,
        VisibilityTimeout: 70,
        WaitTimeSeconds: waitSeconds,
        MessageSystemAttributeNames: ["All"],
        MessageAttributeNames: ["All"],
      }),
    );
    return Messages;
  };

  return {
    address,
    archiveUrl: archive.url,
    createQueue,
    async wait(url, withinMs) {
      const untilMs = Date.now() + withinMs;
      for (;;) {
        const messages = await receive(url, 1);
        if (messages.length > 0 || Date.now() > untilMs) return messages;
      }
    },
    serve(handlers) {
      let isServing = true;
      const poll = async ({ url, arn }: QueueAddress, handle: Handlers["worker"]): Promise<void> => {
        const invocations = new Set<Promise<void>>();
        const invoke = async (message: SqsMessage): Promise<void> => {
          const endsAtMs = Date.now() + 60_000;
          const context = { awsRequestId: "r", getRemainingTimeInMillis: () => endsAtMs - Date.now() } as Context;
          const { batchItemFailures } = await handle(sqsEvent([message], arn), context);
          if (batchItemFailures.length > 0) return;
          await sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: message.ReceiptHandle! }));
        };
        while (isServing) {
          for (const message of await receive(url, 1)) {
            const invocation = invoke(message).finally(() => invocations.delete(invocation));
            invocations.add(invocation);
          }
        }
        await Promise.all(invocations);
      };
      const polling = [poll(queue, handlers.worker), poll(dead, handlers.deadLetters)];
      return async () => {
        isServing = false;
        await Promise.all(polling);
      };
    },
  };
}
