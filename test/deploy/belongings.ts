// What an account holds, by kind, as the services themselves list it.
import { signedFetch } from "./signed-fetch.ts";

interface Listing {
  readonly service: string;
  /** Of services that speak JSON. */
  readonly target?: string;
  /** Of services that take forms. */
  readonly form?: string;
  /** Of services whose lists have an address. */
  readonly path?: string;
}

/** By kind. */
export const listings: Readonly<Record<string, Listing>> = {
  tables: { service: "dynamodb", target: "DynamoDB_20120810.ListTables" },
  queues: { service: "sqs", target: "AmazonSQS.ListQueues" },
  functions: { service: "lambda", path: "/2015-03-31/functions/" },
  "event sources": { service: "lambda", path: "/2015-03-31/event-source-mappings/" },
  buckets: { service: "s3", path: "/" },
  "schedule groups": { service: "scheduler", path: "/schedule-groups" },
  schedules: { service: "scheduler", path: "/schedules" },
  "event buses": { service: "events", target: "AWSEvents.ListEventBuses" },
  rules: { service: "events", target: "AWSEvents.ListRules" },
  "HTTP APIs": { service: "apigateway", path: "/v2/apis" },
  "log groups": { service: "logs", target: "Logs_20140328.DescribeLogGroups" },
  roles: { service: "iam", form: "Action=ListRoles&Version=2010-05-08" },
  alarms: { service: "monitoring", form: "Action=DescribeAlarms&Version=2010-08-01" },
  dashboards: { service: "monitoring", form: "Action=ListDashboards&Version=2010-08-01" },
};

/** Everything in the account that is named for the stack, as `kind: name`. */
export async function belongingsOf(stack: string, endpoint: string): Promise<readonly string[]> {
  const name = new RegExp(`[\\w./-]*${stack}[\\w./-]*`, "gi");
  const found = await Promise.all(
    Object.entries(listings).map(async ([kind, listing]) => {
      const names = [...(await list(endpoint, listing)).matchAll(name)].map(([text]) => `${kind}: ${text}`);
      return [...new Set(names)];
    }),
  );
  return found.flat();
}

async function list(endpoint: string, { service, target, form, path }: Listing): Promise<string> {
  const response = await signedFetch({
    service,
    url: `${endpoint}${path ?? "/"}`,
    ...(path === undefined ? { method: "POST" } : { method: "GET" }),
    ...(target === undefined ? {} : { target, contentType: "application/x-amz-json-1.0", body: "{}" }),
    ...(form === undefined ? {} : { contentType: "application/x-www-form-urlencoded", body: form }),
  });
  if (!response.ok)
    throw new Error(`The list of ${service} cannot be had: ${response.status} ${await response.text()}`);
  return response.text();
}
