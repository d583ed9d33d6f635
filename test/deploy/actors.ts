// The roles of the deployed stack, and what was done in them: by the functions' code, and by Lambda on their behalf.
import {
  type FunctionConfiguration,
  GetFunctionEventInvokeConfigCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
  ListFunctionsCommand,
  ResourceNotFoundException,
} from "@aws-sdk/client-lambda";
import { environmentNames } from "../../lib/aws/environment.ts";
import type { Account } from "./account.ts";
import type { Actor } from "./least-privilege.ts";
import { account as accountId, type Permission, region } from "./permissions.ts";
import type { RecordingProxy } from "./recording-proxy.ts";
import { policiesOf } from "./role-policies.ts";

/** @param key ARN of the key that encrypts table, queues and blobs */
export async function actorsOf(
  endpoint: string,
  { proxy, account, key }: { readonly proxy: RecordingProxy; readonly account: Account; readonly key: string },
): Promise<readonly Actor[]> {
  const client = new LambdaClient({ endpoint, region, credentials: { accessKeyId: "test", secretAccessKey: "test" } });
  const { Functions: functions = [] } = await client.send(new ListFunctionsCommand({}));
  const recorded = [...proxy.calls.values()];
  const actors: Actor[] = [];
  for (const one of functions) {
    const name = one.Environment?.Variables?.AWS_SDK_UA_APP_ID;
    // The CDK's own helpers.
    if (name === undefined || one.Role === undefined) continue;
    const own = recorded.filter(({ caller, role }) => caller === name && role === undefined);
    const calls = [...own, ...(await doneByLambda(client, one))];
    actors.push(await actor(name, one.Role, calls));
  }
  const [schedules] = functions.flatMap(({ Environment: of }) => of?.Variables?.[environmentNames.scheduleRole] ?? []);
  if (schedules === undefined) throw new Error("No function knows the role of the schedules.");
  const bySchedules = recorded.filter(({ role }) => role === schedules);
  actors.push(await actor("Timers", schedules, bySchedules));
  for (const [name, { role, target, onFailure }] of await account.schedules()) {
    const invokes = { action: "lambda:InvokeFunction", resource: target };
    actors.push(await actor(`Schedule of ${name}`, role, [invokes, handOn(onFailure)]));
  }
  return actors;

  async function actor(name: string, roleArn: string, calls: readonly Permission[]): Promise<Actor> {
    const role = roleArn.split("/").at(-1) ?? "";
    const all = [...calls, ...calls.flatMap((call) => encryptionOf(call, key))];
    return { name, roleArn, policies: await policiesOf(endpoint, role), calls: all };
  }
}

/** Lambda reads sources, writes logs and hands on failures in the function's role; none of it goes through the proxy. */
async function doneByLambda(client: LambdaClient, one: FunctionConfiguration): Promise<readonly Permission[]> {
  const { FunctionName: name = "" } = one;
  const logs = `arn:aws:logs:${region}:${accountId}:log-group:${one.LoggingConfig?.LogGroup}:log-stream:any`;
  const done: Permission[] = ["CreateLogStream", "PutLogEvents"].map((action) => ({
    action: `logs:${action}`,
    resource: logs,
  }));
  const { EventSourceMappings: sources = [] } = await client.send(
    new ListEventSourceMappingsCommand({ FunctionName: name }),
  );
  for (const { EventSourceArn: resource = "", DestinationConfig: destination } of sources) {
    const [, , service] = resource.split(":");
    if (service === "sqs") {
      for (const action of ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"]) {
        done.push({ action: `sqs:${action}`, resource });
      }
    } else {
      for (const action of ["DescribeStream", "GetRecords", "GetShardIterator"]) {
        done.push({ action: `dynamodb:${action}`, resource });
      }
      done.push({ action: "dynamodb:ListStreams", resource: "*" });
    }
    if (destination?.OnFailure?.Destination !== undefined) done.push(handOn(destination.OnFailure.Destination));
  }
  const invoked = await client
    .send(new GetFunctionEventInvokeConfigCommand({ FunctionName: name, Qualifier: "$LATEST" }))
    .catch(unknown);
  const target = invoked?.DestinationConfig?.OnFailure?.Destination;
  if (target !== undefined) done.push(handOn(target));
  return done;
}

function handOn(queue: string): Permission {
  return { action: "sqs:SendMessage", resource: queue };
}

function unknown(error: unknown): undefined {
  if (!(error instanceof ResourceNotFoundException)) throw error;
}

/** What each service asks of the key in the name of whoever uses it. */
const encryption: Readonly<Record<string, readonly string[]>> = {
  "sqs:SendMessage": ["GenerateDataKey", "Decrypt"],
  "sqs:ReceiveMessage": ["Decrypt"],
  "s3:PutObject": ["GenerateDataKey"],
  "s3:GetObject": ["Decrypt"],
  "dynamodb:GetItem": ["Decrypt"],
  "dynamodb:BatchGetItem": ["Decrypt"],
  "dynamodb:Query": ["Decrypt"],
  "dynamodb:PutItem": ["Decrypt"],
  "dynamodb:UpdateItem": ["Decrypt"],
  "dynamodb:GetRecords": ["Decrypt"],
};

function encryptionOf({ action }: Permission, key: string): readonly Permission[] {
  return (encryption[action] ?? []).map((kms) => ({ action: `kms:${kms}`, resource: key }));
}
