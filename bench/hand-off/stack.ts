/** The stack of app.ts, deployed on the emulator, and how chains are run on it. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DynamoDBClient, GetItemCommand, PutItemCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import { InvokeCommand, LambdaClient, ListFunctionsCommand } from "@aws-sdk/client-lambda";
import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import * as z from "zod";
import { recordItem } from "../../lib/aws/dynamo-requests.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import { decodeRun, field } from "../../lib/engine/codec.ts";
import { isTerminal } from "../../lib/engine/run-state.ts";
import type { Fields } from "../../lib/engine/transition.ts";
import { runCdk } from "../../test/deploy/cdk.ts";
import { account, region } from "../../test/deploy/permissions.ts";
import { signedFetch } from "../../test/deploy/signed-fetch.ts";
import { type Emulator, startEmulator } from "../../test/wire/emulator.ts";
import { chain, hops } from "./chain.ts";
import type { Ran } from "./code.ts";
import { type Hop, outputField } from "./floor/item.ts";

const Outputs = z.object({
  HandOff: z.object({ ApiFunction: z.string(), Table: z.string(), FloorTable: z.string(), FloorQueue: z.string() }),
});
type Outputs = z.output<typeof Outputs>["HandOff"];

const lookEveryMs = 200;
const chainWithinMs = 30_000;
/** Of a message of Pawl's, what is more than one of the floor's. */
const messagePadding = 45;

/** What has happened in the stack so far. */
export interface Happened {
  /** Of all functions. */
  readonly invocations: number;
  /** Of Pawl's table, as JSON by their keys. */
  readonly items: ReadonlyMap<string, string>;
}

export class HandOffStack implements AsyncDisposable {
  readonly #emulator: Emulator;
  readonly #outputs: Outputs;
  readonly #lambda: LambdaClient;
  readonly #dynamo: DynamoDBClient;
  readonly #sqs: SQSClient;
  #chains = 0;
  /** Of Pawl's last chain, as it ended. */
  #lastRun: Fields | undefined;

  private constructor(emulator: Emulator, outputs: Outputs) {
    const { endpoint } = emulator;
    const config = { endpoint, region, credentials: { accessKeyId: "test", secretAccessKey: "test" } };
    this.#emulator = emulator;
    this.#outputs = outputs;
    this.#lambda = new LambdaClient(config);
    this.#dynamo = new DynamoDBClient(config);
    this.#sqs = new SQSClient(config);
  }

  /** @throws {Error} saying why there is no emulator, or what the CDK's command line failed with */
  static async deploy(): Promise<HandOffStack> {
    const emulator = await startEmulator();
    const outputFolder = await mkdtemp(join(tmpdir(), "pawl-hand-off-"));
    const app = { folder: fileURLToPath(new URL(".", import.meta.url)), outputFolder };
    try {
      await runCdk(emulator, app, "bootstrap", `aws://${account}/${region}`);
      const file = join(outputFolder, "outputs.json");
      await runCdk(emulator, app, "deploy", "--require-approval", "never", "--outputs-file", file);
      return new HandOffStack(emulator, Outputs.parse(JSON.parse(await readFile(file, "utf8"))).HandOff);
    } catch (error) {
      await emulator.stop();
      throw error;
    } finally {
      await rm(outputFolder, { recursive: true, force: true });
    }
  }

  /** Runs one chain. @returns its hand-offs, ms */
  async runPawl(): Promise<readonly number[]> {
    const runId = this.#nameChain();
    await this.#invoke({ action: "start", workflow: chain.name, runId });
    const store = createDynamoStore({ client: this.#dynamo, table: this.#outputs.Table });
    return this.#untilEnded(runId, async () => {
      const fields = (await store.get(runId)) ?? {};
      const run = decodeRun(runId, fields);
      if (!isTerminal(run.status)) return undefined;
      this.#lastRun = fields;
      return run.outputs.map((output) => (output !== undefined && "json" in output ? output.json : ""));
    });
  }

  /** Runs one chain of the bare Lambda, on an item like that of Pawl's last run when it began. @returns its hand-offs, ms */
  async runFloor(): Promise<readonly number[]> {
    const { FloorTable: table, FloorQueue: queue } = this.#outputs;
    const { fields, fingerprint } = asBegun(this.#lastRun);
    const name = this.#nameChain();
    const { pk, sk, ...attributes } = recordItem(name, fields);
    if (pk === undefined || sk === undefined) throw new Error("A run's item has no keys.");
    const Key = { pk, sk };
    await this.#dynamo.send(new PutItemCommand({ TableName: table, Item: { ...Key, ...attributes } }));
    const first: Hop = { chain: name, hop: 0, hops, fingerprint, padding: "x".repeat(messagePadding) };
    await this.#sqs.send(new SendMessageCommand({ QueueUrl: queue, MessageBody: JSON.stringify(first) }));
    return this.#untilEnded(name, async () => {
      const { Item = {} } = await this.#dynamo.send(
        new GetItemCommand({ TableName: table, Key, ConsistentRead: true }),
      );
      const outputs = Array.from({ length: hops }, (_, hop) => Item[outputField(hop)]?.S);
      return outputs.every((output) => output !== undefined) ? outputs : undefined;
    });
  }

  async whatHappened(): Promise<Happened> {
    const { Functions = [] } = await this.#lambda.send(new ListFunctionsCommand({}));
    const invocations = await Promise.all(Functions.map(({ FunctionName = "" }) => this.#invocationsOf(FunctionName)));
    const { Items = [] } = await this.#dynamo.send(
      new ScanCommand({ TableName: this.#outputs.Table, ConsistentRead: true }),
    );
    return {
      invocations: invocations.reduce((sum, count) => sum + count, 0),
      items: new Map(Items.map((item) => [`${item.pk?.S} ${item.sk?.S}`, JSON.stringify(item)])),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#emulator.stop();
  }

  #nameChain(): string {
    this.#chains++;
    return `chain-${String(this.#chains).padStart(5, "0")}`;
  }

  /** @param look says what each step has left, as JSON of `Ran`, when the chain has ended */
  async #untilEnded(name: string, look: () => Promise<readonly string[] | undefined>): Promise<readonly number[]> {
    const giveUpAtMs = Date.now() + chainWithinMs;
    for (;;) {
      await sleep(lookEveryMs);
      const ended = await look();
      if (ended !== undefined) return handOffs(ended.map((json) => JSON.parse(json) as Ran));
      if (Date.now() > giveUpAtMs) {
        const said = this.#emulator.output();
        throw new Error(`${name} has not ended within ${chainWithinMs / 1_000} s. The emulator said:\n${said}`);
      }
    }
  }

  async #invoke(payload: object): Promise<void> {
    const { FunctionError, Payload } = await this.#lambda.send(
      new InvokeCommand({ FunctionName: this.#outputs.ApiFunction, Payload: JSON.stringify(payload) }),
    );
    if (FunctionError === undefined) return;
    throw new Error(`${JSON.stringify(payload)} was answered with ${Payload?.transformToString()}`);
  }

  /** Of the last hour. No SDK of ours speaks to CloudWatch. */
  async #invocationsOf(name: string): Promise<number> {
    const query = new URLSearchParams({
      Action: "GetMetricStatistics",
      Version: "2010-08-01",
      Namespace: "AWS/Lambda",
      MetricName: "Invocations",
      "Dimensions.member.1.Name": "FunctionName",
      "Dimensions.member.1.Value": name,
      StartTime: new Date(Date.now() - 3_600_000).toISOString(),
      EndTime: new Date(Date.now() + 60_000).toISOString(),
      Period: "3600",
      "Statistics.member.1": "Sum",
    });
    const response = await signedFetch({
      service: "monitoring",
      method: "GET",
      url: `${this.#emulator.endpoint}/?${query.toString()}`,
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`CloudWatch answered ${response.status}: ${answer}`);
    return [...answer.matchAll(/<Sum>([\d.]+)<\/Sum>/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  }
}

/** The record of a run that has ended, without what its steps and its end have left in it. */
function asBegun(ended: Fields | undefined): { readonly fields: Fields; readonly fingerprint: string } {
  if (ended === undefined) throw new Error("The floor's item is like that of a run: run a chain of Pawl's before it.");
  const left = Object.entries(ended).filter(([name]) => !/^(?:[so]\d+|z|ttl)$/.test(name));
  const fields = { ...Object.fromEntries(left), [field.status]: "running" };
  return { fields, fingerprint: String(ended[field.fingerprint]) };
}

/** From the end of each to the begin of the next. */
function handOffs(ran: readonly Ran[]): number[] {
  return ran.slice(1).map(([beganAtMs], index) => beganAtMs - (ran[index]?.[1] ?? Number.NaN));
}
