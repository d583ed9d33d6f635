// What the tests themselves do in the account, beside the stack and its API.
import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import { type InvocationType, InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { DeleteObjectsCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { DeleteMessageBatchCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { region } from "./permissions.ts";

export interface Invoked {
  readonly failed: boolean;
  readonly answer: unknown;
  /** The end of what the function logged. */
  readonly log: string;
}

export class Account {
  readonly #lambda: LambdaClient;
  readonly #sqs: SQSClient;
  readonly #events: EventBridgeClient;
  readonly #s3: S3Client;

  constructor(endpoint: string) {
    const config = { endpoint, region, credentials: { accessKeyId: "test", secretAccessKey: "test" } };
    this.#lambda = new LambdaClient(config);
    // Queues are named by addresses that lead through the proxy; a client with an endpoint of its own goes there.
    this.#sqs = new SQSClient(config);
    this.#events = new EventBridgeClient(config);
    this.#s3 = new S3Client({ ...config, forcePathStyle: true });
  }

  async invoke(name: string, event: unknown, type: InvocationType = "RequestResponse"): Promise<Invoked> {
    const { FunctionError, Payload, LogResult } = await this.#lambda.send(
      new InvokeCommand({
        FunctionName: name,
        InvocationType: type,
        LogType: "Tail",
        Payload: JSON.stringify(event),
      }),
    );
    const text = Payload?.transformToString() ?? "";
    return {
      failed: FunctionError !== undefined,
      answer: text === "" ? undefined : JSON.parse(text),
      log: Buffer.from(LogResult ?? "", "base64").toString(),
    };
  }

  /** @returns the id of the event */
  async publish(source: string, detailType: string, detail: object): Promise<string> {
    const { Entries: [entry] = [] } = await this.#events.send(
      new PutEventsCommand({ Entries: [{ Source: source, DetailType: detailType, Detail: JSON.stringify(detail) }] }),
    );
    if (entry?.EventId === undefined) throw new Error(`The event was not taken: ${entry?.ErrorMessage}`);
    return entry.EventId;
  }

  async deleteObjects(bucket: string, prefix: string): Promise<number> {
    const { Contents: objects = [] } = await this.#s3.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }),
    );
    const keys = objects.map(({ Key }) => ({ Key }));
    if (keys.length > 0) await this.#s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: keys } }));
    return keys.length;
  }

  async send(queue: string, body: string): Promise<void> {
    await this.#sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody: body }));
  }

  /** Takes messages out of the queue until none has come for so long. */
  async drain(queue: string, quietSeconds: number): Promise<readonly string[]> {
    const bodies: string[] = [];
    for (;;) {
      const { Messages: messages = [] } = await this.#sqs.send(
        new ReceiveMessageCommand({ QueueUrl: queue, MaxNumberOfMessages: 10, WaitTimeSeconds: quietSeconds }),
      );
      if (messages.length === 0) return bodies;
      bodies.push(...messages.map(({ Body }) => Body ?? ""));
      const entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
      await this.#sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queue, Entries: entries }));
    }
  }
}
