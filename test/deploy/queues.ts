// What the tests themselves put into the stack's queues and take out of them.
import { DeleteMessageBatchCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { region } from "./permissions.ts";

export class Queues {
  readonly #client: SQSClient;

  constructor(endpoint: string) {
    this.#client = new SQSClient({ endpoint, region, credentials: { accessKeyId: "test", secretAccessKey: "test" } });
  }

  async send(queue: string, body: string): Promise<void> {
    await this.#client.send(new SendMessageCommand({ QueueUrl: queue, MessageBody: body }));
  }

  /** Takes messages out of the queue until none has come for a while. */
  async drain(queue: string, quietSeconds: number): Promise<readonly string[]> {
    const bodies: string[] = [];
    for (;;) {
      const { Messages: messages = [] } = await this.#client.send(
        new ReceiveMessageCommand({ QueueUrl: queue, MaxNumberOfMessages: 10, WaitTimeSeconds: quietSeconds }),
      );
      if (messages.length === 0) return bodies;
      bodies.push(...messages.map(({ Body }) => Body ?? ""));
      const entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
      await this.#client.send(new DeleteMessageBatchCommand({ QueueUrl: queue, Entries: entries }));
    }
  }
}
