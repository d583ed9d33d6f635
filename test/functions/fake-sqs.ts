// SQS and Lambda's event sources in virtual time: visibility, delays, receive counts, redrive, partial batch responses.
import {
  ChangeMessageVisibilityCommand,
  type ChangeMessageVisibilityCommandInput,
  type MessageAttributeValue,
  SendMessageBatchCommand,
  type SendMessageBatchCommandInput,
  type SendMessageBatchCommandOutput,
  SendMessageCommand,
  type SendMessageCommandInput,
  SQSClient,
} from "@aws-sdk/client-sqs";
import type { Context, SQSBatchResponse } from "aws-lambda";
import { mockClient } from "aws-sdk-client-mock";
import type { QueueAddress } from "../../lib/aws/environment.ts";
import type { VirtualClock } from "../../lib/testing/virtual-clock.ts";

export interface FakeQueueOptions {
  readonly visibilityMs?: number;
  /** After so many receives the message goes to that queue. */
  readonly redrive?: { readonly to: string; readonly receives: number };
}

export interface FakeMessage {
  readonly body: string;
  readonly attributes: Readonly<Record<string, MessageAttributeValue>>;
  readonly receives: number;
}

interface Stored extends FakeMessage {
  readonly id: string;
  receives: number;
  visibleAtMs: number;
  receipt?: string;
}

interface Queue extends FakeQueueOptions {
  readonly name: string;
  messages: Stored[];
  source?: EventSource;
}

export interface EventSource {
  readonly invoke: (event: unknown, context: Context) => Promise<SQSBatchResponse>;
  /** Of the function; a queue with a function hides its messages for 10 s longer. */
  readonly timeoutMs: number;
  readonly batchSize?: number;
}

/** Stands between a client and the service: may fail, repeat, or never return. */
export type Wire = <T>(command: string, perform: () => Promise<T>) => Promise<T>;

export class FakeSqs {
  readonly #clock: VirtualClock;
  /** Whether it takes the next entry of a batch. */
  takes: () => boolean = () => true;
  readonly #queues = new Map<string, Queue>();
  #ids = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  create(name: string, options: FakeQueueOptions = {}): QueueAddress {
    this.#queues.set(this.url(name), { ...options, name, messages: [] });
    return { url: this.url(name), arn: this.arn(name) };
  }

  url(name: string): string {
    return `https://sqs.us-east-1.amazonaws.com/0/${name}`;
  }

  arn(name: string): string {
    return `arn:aws:sqs:us-east-1:0:${name}`;
  }

  messages(name: string): readonly FakeMessage[] {
    return this.#queue(this.url(name)).messages;
  }

  put(arn: string, body: string): void {
    this.#add({ QueueUrl: this.url(arn.split(":").at(-1)!), MessageBody: body });
  }

  /** Lambda polls the queue from now on. */
  connect(name: string, source: EventSource): void {
    const queue = this.#queue(this.url(name));
    queue.source = source;
    this.#pollAt(queue, this.#clock.now());
  }

  /** A client as one process has it. */
  client(wire: Wire = (_, perform) => perform()): SQSClient {
    const client = new SQSClient({ region: "us-east-1" });
    const mock = mockClient(client);
    mock
      .on(SendMessageCommand)
      .callsFake((input: SendMessageCommandInput) => wire("SendMessage", async () => this.#add(input)));
    mock
      .on(SendMessageBatchCommand)
      .callsFake((input: SendMessageBatchCommandInput) => wire("SendMessageBatch", async () => this.#addAll(input)));
    mock
      .on(ChangeMessageVisibilityCommand)
      .callsFake((input: ChangeMessageVisibilityCommandInput) =>
        wire("ChangeMessageVisibility", async () => this.#hide(input)),
      );
    return client;
  }

  #addAll({ QueueUrl, Entries = [] }: SendMessageBatchCommandInput): Omit<SendMessageBatchCommandOutput, "$metadata"> {
    if (Entries.length === 0 || Entries.length > 10) throw new Error(`A batch of ${Entries.length} entries`);
    if (new Set(Entries.map(({ Id }) => Id)).size < Entries.length) throw new Error("Two entries have the same id");
    const taken = Entries.filter(() => this.takes());
    const Successful = taken.map(({ Id, ...entry }) => ({
      Id,
      ...this.#add({ ...entry, QueueUrl }),
      MD5OfMessageBody: "",
    }));
    const refused = Entries.filter((entry) => !taken.includes(entry));
    const Failed = refused.map(({ Id }) => ({ Id, Code: "ThrottlingException", SenderFault: false }));
    return { Successful, Failed };
  }

  #add({ QueueUrl, MessageBody, DelaySeconds = 0, MessageAttributes = {} }: SendMessageCommandInput): {
    MessageId: string;
  } {
    if (!Number.isInteger(DelaySeconds) || DelaySeconds < 0 || DelaySeconds > 900)
      throw new Error(`DelaySeconds ${DelaySeconds}`);
    const queue = this.#queue(QueueUrl!);
    const id = `m${this.#ids++}`;
    const visibleAtMs = this.#clock.now() + DelaySeconds * 1000;
    queue.messages.push({ id, body: MessageBody!, attributes: MessageAttributes, receives: 0, visibleAtMs });
    this.#pollAt(queue, visibleAtMs);
    return { MessageId: id };
  }

  #hide({ QueueUrl, ReceiptHandle, VisibilityTimeout = 0 }: ChangeMessageVisibilityCommandInput): object {
    if (!Number.isInteger(VisibilityTimeout) || VisibilityTimeout < 0 || VisibilityTimeout > 43_200) {
      throw new Error(`VisibilityTimeout ${VisibilityTimeout}`);
    }
    const queue = this.#queue(QueueUrl!);
    const message = queue.messages.find(({ receipt }) => receipt === ReceiptHandle);
    if (message === undefined) throw new Error("The receipt handle has expired");
    message.visibleAtMs = this.#clock.now() + VisibilityTimeout * 1000;
    this.#pollAt(queue, message.visibleAtMs);
    return {};
  }

  #pollAt(queue: Queue, atMs: number): void {
    this.#clock.after(atMs - this.#clock.now(), () => this.#poll(queue));
  }

  #poll(queue: Queue): void {
    const { source } = queue;
    if (source === undefined) return;
    const due = queue.messages.filter(({ visibleAtMs }) => visibleAtMs <= this.#clock.now());
    for (let from = 0; from < due.length; from += source.batchSize ?? 1) {
      const batch = due.slice(from, from + (source.batchSize ?? 1)).filter((message) => this.#receive(queue, message));
      if (batch.length > 0) void this.#invoke(queue, source, batch);
    }
  }

  /** Whether it is handed out, or has been so too often. */
  #receive(queue: Queue, message: Stored): boolean {
    const { visibilityMs = (queue.source?.timeoutMs ?? 30_000) + 10_000, redrive } = queue;
    message.receives += 1;
    message.visibleAtMs = this.#clock.now() + visibilityMs;
    message.receipt = `${message.id}-${message.receives}`;
    if (redrive === undefined || message.receives <= redrive.receives) {
      this.#pollAt(queue, message.visibleAtMs);
      return true;
    }
    queue.messages = queue.messages.filter((one) => one !== message);
    this.#add({
      QueueUrl: this.url(redrive.to),
      MessageBody: message.body,
      MessageAttributes: { ...message.attributes },
    });
    return false;
  }

  async #invoke(queue: Queue, { invoke, timeoutMs }: EventSource, batch: readonly Stored[]): Promise<void> {
    const receipts = batch.map(({ receipt }) => receipt);
    const endsAtMs = this.#clock.now() + timeoutMs;
    const context = {
      awsRequestId: "request",
      getRemainingTimeInMillis: () => endsAtMs - this.#clock.now(),
    } as Context;
    const result = await invoke(sqsEvent(batch, this.arn(queue.name)), context).catch(() => undefined);
    if (result === undefined || this.#clock.now() >= endsAtMs) return;
    const failed = new Set(result.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
    queue.messages = queue.messages.filter(({ id, receipt }) => failed.has(id) || !receipts.includes(receipt));
  }

  #queue(url: string): Queue {
    const queue = this.#queues.get(url);
    if (queue === undefined) throw new Error(`There is no queue ${url}`);
    return queue;
  }
}

/** Messages as the event that a function is invoked with. */
function sqsEvent(messages: readonly Stored[], arn: string): unknown {
  return {
    Records: messages.map(({ id, receipt, body, receives, attributes }) => ({
      messageId: id,
      receiptHandle: receipt,
      body,
      attributes: {
        ApproximateReceiveCount: String(receives),
        SentTimestamp: "0",
        SenderId: "",
        ApproximateFirstReceiveTimestamp: "0",
      },
      messageAttributes: Object.fromEntries(
        Object.entries(attributes).map(([name, { StringValue, DataType }]) => [
          name,
          { stringValue: StringValue, dataType: DataType },
        ]),
      ),
      md5OfBody: "",
      eventSource: "aws:sqs",
      eventSourceARN: arn,
      awsRegion: "us-east-1",
    })),
  };
}
