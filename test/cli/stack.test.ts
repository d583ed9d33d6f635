// Hunts: a stack that is not found although it is there, the wrong one of two APIs, requests that nobody has signed, and
// trouble with AWS that leaves one helpless.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { buildOnce, type Ended, pawl } from "./pawl-process.ts";

const patient = { timeout: 60_000 };

beforeAll(buildOnce, 60_000);

async function serverWith(
  respond: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<string> {
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => respond(request, response, body));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Output {
  readonly description?: string;
  readonly value: string;
}

/** CloudFormation, as far as one request goes: `DescribeStacks` in its query protocol. */
async function cloudFormation(stacks: Readonly<Record<string, readonly Output[]>>): Promise<string> {
  return serverWith((_request, response, body) => {
    const name = new URLSearchParams(body).get("StackName") ?? "";
    const outputs = stacks[name];
    response.setHeader("content-type", "text/xml");
    if (outputs === undefined) {
      const error = `<Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id ${name} does not exist</Message>`;
      response.writeHead(400).end(`<ErrorResponse><Error>${error}</Error></ErrorResponse>`);
      return;
    }
    const members = outputs.map(
      ({ description, value }, index) =>
        `<member><OutputKey>Key${index}</OutputKey><OutputValue>${value}</OutputValue>${description === undefined ? "" : `<Description>${description}</Description>`}</member>`,
    );
    const stack = `<member><StackName>${name}</StackName><CreationTime>2026-11-21T08:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>${members.join("")}</Outputs></member>`;
    response.end(
      `<DescribeStacksResponse><DescribeStacksResult><Stacks>${stack}</Stacks></DescribeStacksResult></DescribeStacksResponse>`,
    );
  });
}

/** A Pawl server that tells who asked. */
async function api(runId: string): Promise<{ readonly url: string; readonly asked: (string | undefined)[] }> {
  const asked: (string | undefined)[] = [];
  const url = await serverWith((request, response) => {
    asked.push(request.headers.authorization);
    const run = {
      runId,
      workflow: "order",
      fingerprint: "f",
      status: "running",
      redrives: 0,
      steps: {},
      createdAt: "2026-11-21T08:00:00.000Z",
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(run));
  });
  return { url, asked };
}

const credentials = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "secret" };
const nowhere = {
  AWS_EC2_METADATA_DISABLED: "true",
  AWS_CONFIG_FILE: "/nonexistent",
  AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
};

function run(endpoint: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const aws = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: "eu-central-1",
    AWS_MAX_ATTEMPTS: "1",
    ...credentials,
    ...nowhere,
  };
  return pawl(args, { env: { ...aws, ...env } });
}

const described = (path: string): string => `HTTP API of Pawl ${path}`;

test("the API is found by the stack's name, and requests are signed for its region", patient, async () => {
  const { url, asked } = await api("r");
  const aws = await cloudFormation({
    Shop: [{ value: "https://other.example" }, { description: described("Orders"), value: url }],
  });
  const shown = await run(aws, ["show", "r", "--stack", "Shop"]);
  expect(shown).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("run        r\n") });
  expect(asked[0]).toMatch(
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/execute-api\/aws4_request, /,
  );
  expect((await run(aws, ["show", "r", "--stack", "Shop", "--auth", "none"])).code).toBe(0);
  expect(asked[1]).toBeUndefined();
  const token = { PAWL_TOKEN: "jwt", PAWL_AUTH: "bearer", PAWL_URL: "http://127.0.0.1:9" };
  expect((await run(aws, ["show", "r", "--stack", "Shop"], token)).code).toBe(0);
  expect(asked[2]).toBe("Bearer jwt");
});

test("--auth iam signs for other addresses too", patient, async () => {
  const { url, asked } = await api("r");
  expect((await run("http://127.0.0.1:9", ["show", "r", "--url", url, "--auth", "iam"])).code).toBe(0);
  expect(asked[0]).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/execute-api\//);
});

test("of several APIs one is named by its construct", patient, async () => {
  const [orders, stock] = await Promise.all([api("of-orders"), api("of-stock")]);
  const aws = await cloudFormation({
    Shop: [
      { description: described("Orders"), value: orders.url },
      { description: described("Back/Stock"), value: stock.url },
    ],
  });
  const chosen = await run(aws, ["show", "r", "--stack", "Shop/Back/Stock"]);
  expect(chosen.stdout).toContain("run        of-stock\n");
  const unclear = await run(aws, ["show", "r", "--stack", "Shop"]);
  expect(unclear).toMatchObject({ code: 2, stdout: "" });
  expect(unclear.stderr).toBe(
    "pawl: Stack Shop has several HTTP APIs of Pawl. Say which: --stack Shop/Orders or --stack Shop/Back/Stock.\n",
  );
  const absent = await run(aws, ["show", "r", "--stack", "Shop/Nope"]);
  expect(absent).toMatchObject({ code: 1, stdout: "" });
  expect(absent.stderr).toContain('Stack Shop has no HTTP API of Pawl "Nope". Say which: --stack Shop/Orders or');
});

test("no such stack, a stack without an API, no region, no credentials, no CloudFormation", patient, async () => {
  const aws = await cloudFormation({ Plain: [{ value: "https://other.example" }] });
  const show = (stack: string) => ["show", "r", "--stack", stack];
  const told = async (ended: Promise<Ended>): Promise<string> => {
    const { code, stdout, stderr } = await ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^pawl: [^\n]+\n$/);
    return stderr;
  };
  expect(await told(run(aws, show("Nope")))).toContain('There is no stack "Nope" in eu-central-1');
  expect(await told(run(aws, show("Plain")))).toMatch(
    /tells of no HTTP API of Pawl\. .* deploy it again, or name the address with --url/,
  );
  expect(await told(run(aws, show("Shop"), { AWS_REGION: "" }))).toContain("No AWS region is set. Set AWS_REGION");
  const none = { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" };
  expect(await told(run(aws, show("Shop"), none))).toMatch(/No AWS credentials are found: .* aws sso login/);
  expect(await told(run("http://127.0.0.1:9", show("Shop")))).toMatch(
    /CloudFormation does not tell of stack "Shop" .*--url does without/,
  );
});
