// What the tests themselves do in the account, beside the stack and its API.
import { DeleteItemCommand, DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import { type InvocationType, InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { DeleteObjectsCommand, ListObjectsV2Command, PutBucketTaggingCommand, S3Client } from "@aws-sdk/client-s3";
import { GetScheduleCommand, ListSchedulesCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { DeleteMessageBatchCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { region } from "./permissions.ts";

export interface Invoked {
  readonly failed: boolean;
  readonly answer: unknown;
  /** The end of what the function logged. */
  readonly log: string;
}

export interface Taken {
  readonly body: string;
  readonly attributes: Readonly<Record<string, string | undefined>>;
}

/** What EventBridge Scheduler does for a schedule that has come to its time. */
interface Schedule {
  readonly role: string;
  readonly target: string;
  /** May hold `<aws.scheduler.scheduled-time>`. */
  readonly input: string;
  /** Queue of what could not be handed over. */
  readonly onFailure: string;
}

export class Account {
  readonly #lambda: LambdaClient;
  readonly #dynamo: DynamoDBClient;
  readonly #sqs: SQSClient;
  readonly #events: EventBridgeClient;
  readonly #s3: S3Client;
  readonly #scheduler: SchedulerClient;

  constructor(endpoint: string) {
    const config = { endpoint, region, credentials: { accessKeyId: "test", secretAccessKey: "test" } };
    this.#lambda = new LambdaClient(config);
    this.#dynamo = new DynamoDBClient(config);
    // Queues are named by addresses that lead through the proxy; a client with an endpoint of its own goes there.
    this.#sqs = new SQSClient(config);
    this.#events = new EventBridgeClient(config);
    this.#scheduler = new SchedulerClient(config);
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

  async countObjects(bucket: string, prefix: string): Promise<number> {
    const { KeyCount = 0 } = await this.#s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    return KeyCount;
  }

  async deleteObjects(bucket: string, prefix: string): Promise<number> {
    const { Contents: objects = [] } = await this.#s3.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }),
    );
    const keys = objects.map(({ Key }) => ({ Key }));
    if (keys.length > 0) await this.#s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: keys } }));
    return keys.length;
  }

  /** An item as a version that is far ahead would write one. */
  async putUnreadableRun(table: string, runId: string): Promise<void> {
    const Item = { pk: { S: `r#${runId}` }, sk: { S: "run" }, v: { N: "99" }, st: { S: "running" } };
    await this.#dynamo.send(new PutItemCommand({ TableName: table, Item }));
  }

  /** Deletes the run's item, and nothing beside it. */
  async deleteRun(table: string, runId: string): Promise<void> {
    const Key = { pk: { S: `r#${runId}` }, sk: { S: "run" } };
    await this.#dynamo.send(new DeleteItemCommand({ TableName: table, Key }));
  }

  /** Schedules that recur, by name. */
  async schedules(): Promise<ReadonlyMap<string, Schedule>> {
    const { Schedules: listed = [] } = await this.#scheduler.send(new ListSchedulesCommand({}));
    const all = listed.map(async ({ GroupName, Name = "" }) => {
      const { ScheduleExpression: when = "", Target: target } = await this.#scheduler.send(
        new GetScheduleCommand({ GroupName, Name }),
      );
      const { Arn = "", RoleArn = "", Input = "", DeadLetterConfig: failed } = target ?? {};
      const schedule = { target: Arn, role: RoleArn, input: Input, onFailure: failed?.Arn ?? "" };
      return when.startsWith("at(") ? [] : [[Name, schedule] as const];
    });
    return new Map((await Promise.all(all)).flat());
  }

  /** The emulator does not give a bucket the tags that its template names. */
  async tag(bucket: string, tag: string): Promise<void> {
    const Tagging = { TagSet: [{ Key: tag, Value: "true" }] };
    await this.#s3.send(new PutBucketTaggingCommand({ Bucket: bucket, Tagging }));
  }

  async send(queue: string, body: string): Promise<void> {
    await this.#sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody: body }));
  }

  /** Takes messages out of the queue until none has come for so long. */
  async drain(queue: string, quietSeconds: number): Promise<readonly Taken[]> {
    const taken: Taken[] = [];
    for (;;) {
      const { Messages: messages = [] } = await this.#sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: queue,
          MaxNumberOfMessages: 10,
          WaitTimeSeconds: quietSeconds,
          MessageAttributeNames: ["All"],
        }),
      );
      if (messages.length === 0) return taken;
      for (const { Body: body = "", MessageAttributes: attributes = {} } of messages) {
        const texts = Object.entries(attributes).map(([name, { StringValue: text }]) => [name, text] as const);
        taken.push({ body, attributes: Object.fromEntries(texts) });
      }
      const entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
      await this.#sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queue, Entries: entries }));
    }
  }
}
