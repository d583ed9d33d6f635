// The receiving side of SQS as Lambda plays it: it hands records to the production code and deletes what that is done with.
import {
  DeleteMessageCommand,
  ReceiveMessageCommand,
  type SQSClient,
  type Message as SqsMessage,
} from "@aws-sdk/client-sqs";
import { type Receiver, receive } from "../../lib/aws/receive.ts";
import { parseSqsEvent, type SqsRecord } from "../../lib/aws/sqs-record.ts";
import type { MessageSource, ReceivedMessage } from "../../lib/embedded/backend.ts";
import type { Delivery, Disposition } from "../../lib/runtime/ports.ts";

interface InHand {
  readonly delivery: Delivery;
  decide(disposition: Disposition): void;
  readonly done: Promise<boolean>;
}

/** A source for the queue contract: each message is in the middle of `receive` until the test says what becomes of it. */
export function createSqsSource(sqs: SQSClient, receiver: Omit<Receiver, "handle">): MessageSource {
  const inHand = new Map<string, InHand>();

  async function take(record: SqsRecord): Promise<ReceivedMessage> {
    const taken = Promise.withResolvers<Delivery>();
    const decided = Promise.withResolvers<Disposition>();
    const handle = async (delivery: Delivery): Promise<Disposition> => {
      taken.resolve(delivery);
      return decided.promise;
    };
    const done = receive(record, receiver.clock.now(), { ...receiver, handle });
    const delivery = await taken.promise;
    inHand.set(record.receiptHandle, { delivery, decide: decided.resolve, done });
    return { receipt: record.receiptHandle, body: delivery.body, receiveCount: delivery.receiveCount, failures: 0 };
  }

  async function end(receipt: string, disposition: Disposition): Promise<boolean> {
    const message = inHand.get(receipt);
    if (message === undefined) return false;
    inHand.delete(receipt);
    message.decide(disposition);
    if (await message.done) {
      await sqs.send(new DeleteMessageCommand({ QueueUrl: receiver.queueUrl, ReceiptHandle: receipt }));
    }
    return true;
  }

  return {
    async receive(max, visibilityMs) {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: receiver.queueUrl,
          MaxNumberOfMessages: Math.min(max, 10),
          VisibilityTimeout: Math.ceil(visibilityMs / 1000),
          WaitTimeSeconds: 0,
          MessageSystemAttributeNames: ["All"],
          MessageAttributeNames: ["All"],
        }),
      );
      return Promise.all(recordsOf(Messages).map(take));
    },
    acknowledge: (receipt) => end(receipt, { kind: "acknowledge" }),
    redeliver: (receipt, delayMs) => end(receipt, { kind: "redeliver", delayMs }),
    deadLetter: (receipt, reason) => end(receipt, { kind: "deadLetter", reason }),
    async extend(receipt, visibleInMs) {
      await inHand.get(receipt)?.delivery.extend(visibleInMs);
      return true;
    },
    deadLetters: async () => [],
  };
}

/** Received messages as the event that Lambda makes of them. */
function recordsOf(
  messages: readonly SqsMessage[],
  queueArn = "arn:aws:sqs:us-east-1:0:q",
): readonly SqsRecord[] {
  return parseSqsEvent(sqsEvent(messages, queueArn));
}

export function sqsEvent(messages: readonly SqsMessage[], queueArn: string): unknown {
  return {
    Records: messages.map(({ MessageId, ReceiptHandle, Body, Attributes, MessageAttributes = {} }) => ({
      messageId: MessageId,
      receiptHandle: ReceiptHandle,
      body: Body,
      attributes: Attributes,
      messageAttributes: Object.fromEntries(
        Object.entries(MessageAttributes).map(([name, { StringValue, DataType }]) => [
          name,
          { stringValue: StringValue, dataType: DataType },
        ]),
      ),
      eventSource: "aws:sqs",
      eventSourceARN: queueArn,
      awsRegion: "us-east-1",
    })),
  };
}
