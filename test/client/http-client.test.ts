// Hunts an HTTP client that does otherwise than the engine, repeats what must not be, gives up too early, or signs wrongly.
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createHttpClient, type HttpClientOptions } from "../../lib/client/index.ts";
import { startDevServer } from "../../lib/dev/http-server.ts";
import { createEngine, type Logger, PawlError, workflow } from "../../lib/index.ts";
import { clientContract, contractWorkflows } from "./client.contract.ts";

const logger: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

describe("over HTTP", () => {
  clientContract(async () => {
    const engine = await createEngine({ workflows: contractWorkflows, logger });
    const server = await startDevServer({ engine, port: 0, logger });
    return {
      client: createHttpClient({ url: server.url, workflows: contractWorkflows }),
      stop: async () => {
        await server.close();
        await engine.stop({ graceMs: 0 });
      },
    };
  });
});

interface Asked {
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}
type Answer = "hang up" | readonly [status: number, body: unknown, headers?: Record<string, string>];

const run = { runId: "r", workflow: "w", fingerprint: "f", status: "running", redrives: 0, steps: {}, createdAt: "" };
const ended = { ...run, status: "succeeded", output: 1 };

let asked: Asked[];
beforeEach(() => {
  asked = [];
});

/** A server that answers as it is told, the last answer again and again. */
async function scripted(answers: readonly Answer[], options: Partial<HttpClientOptions> = {}) {
  let next = 0;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => void (body += part.toString()));
    request.on("end", () => {
      asked.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
      const answer = answers[Math.min(next++, answers.length - 1)]!;
      if (answer === "hang up") return void request.socket.destroy();
      const [status, content, headers = {}] = answer;
      response.writeHead(status, headers).end(typeof content === "string" ? content : JSON.stringify(content));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const client = createHttpClient({ url: `http://127.0.0.1:${port}/stage/`, ...options });
  onTestFinished(async () => {
    await client.close();
    server.closeAllConnections();
    server.close();
  });
  return client;
}

const lines = (): string[] => asked.map(({ line }) => line);
const busy = [503, { error: { code: "unavailable", message: "Later.", details: null } }] as const;
const throttled = [429, { message: "Too Many Requests" }] as const;

describe("a request", () => {
  test.each<[string, Answer]>([
    ["is told to come later", busy],
    ["is throttled", throttled],
    ["is cut off", "hang up"],
    ["meets a gateway without a server", [502, "<html>"]],
  ])("that %s is repeated when it only reads", async (_what, answer) => {
    const client = await scripted([answer, answer, [200, run]]);
    expect((await client.get("r")).status).toBe("running");
    expect(lines()).toEqual(Array.from({ length: 3 }, () => "GET /stage/runs/r"));
  });

  test("is repeated a few times only", async () => {
    const client = await scripted([busy]);
    await expect(client.get("r")).rejects.toMatchObject({ code: "unavailable", message: "Later." });
    expect(asked).toHaveLength(4);
    asked = [];
    const cut = await scripted(["hang up"]);
    await expect(cut.get("r")).rejects.toMatchObject({ code: "request_failed" });
    expect(asked).toHaveLength(4);
  });

  test("that changes something is not repeated, unless it names its id or nothing was done", async () => {
    const client = await scripted(["hang up"]);
    await expect(client.cancel("r")).rejects.toMatchObject({ code: "request_failed" });
    await expect(client.signal("r", "go", 1)).rejects.toMatchObject({ code: "request_failed" });
    await expect(client.start("w", { input: 1 })).rejects.toMatchObject({ code: "request_failed" });
    expect(asked).toHaveLength(3);
    asked = [];
    await expect(client.start("w", { input: 1, runId: "r" })).rejects.toMatchObject({ code: "request_failed" });
    expect(asked.map(({ body }) => body)).toEqual(Array.from({ length: 4 }, () => '{"input":1,"runId":"r"}'));
    asked = [];
    const hurried = await scripted([throttled, [202, run]]);
    expect((await hurried.cancel("r")).runId).toBe("r");
    expect(asked).toHaveLength(2);
  });

  test("waits for as long as the server asks it to, within bounds", async () => {
    const client = await scripted([
      [503, busy[1], { "retry-after": "1" }],
      [200, run],
    ]);
    const beganAt = performance.now();
    await client.get("r");
    expect(performance.now() - beganAt).toBeGreaterThanOrEqual(990);
  });

  test("encodes what it is given", async () => {
    const client = await scripted([[200, run]]);
    await client.output("a/b?c", "s#1").catch(() => undefined);
    await client
      .list({ tag: { key: "k", value: "a:b&c" }, status: "failed", from: new Date(0) })
      .catch(() => undefined);
    expect(lines()).toEqual([
      "GET /stage/runs/a%2Fb%3Fc/steps/s%231/output",
      "GET /stage/runs?status=failed&from=1970-01-01T00%3A00%3A00.000Z&tag=k%3Aa%3Ab%26c",
    ]);
    await expect(client.list({ tag: { key: "a:b", value: "c" } })).rejects.toMatchObject({ code: "invalid_request" });
  });
});

describe("an answer", () => {
  test.each<[string, Answer, RegExp]>([
    ["no JSON", [200, "<html>"], /no JSON/],
    ["no run", [200, { runId: "r" }], /not a run.*workflow/s],
    ["refused by a gateway", [403, { message: "Forbidden" }], /403: Forbidden.*credentials/],
    ["an unexpected failure", [500, { error: { code: "internal_error", message: "Oh.", details: { id: "x" } } }], /Oh/],
  ])("that is %s is told as such", async (_what, answer, message) => {
    const client = await scripted([answer]);
    const error = await client.get("r").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PawlError);
    expect(error).toMatchObject({ code: "request_failed", message: expect.stringMatching(message) });
  });

  test("with an error has the server's code and details, a new one's too", async () => {
    const client = await scripted([[409, { error: { code: "brand_new", message: "No.", details: { a: 1 } } }]]);
    await expect(client.cancel("r")).rejects.toMatchObject({ code: "brand_new", message: "No.", details: { a: 1 } });
  });

  test("never repeats a task token", async () => {
    const client = await scripted([[500, "oops"]]);
    const token = "c2VjcmV0LzAvMC8xL3J1bg";
    const error = (await client.callbacks.succeed(token).catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).not.toContain(token);
  });
});

describe("a wait", () => {
  test("asks for as long as the API allows, again and again, until the run has ended", async () => {
    const client = await scripted([[200, run], "hang up", [200, ended]]);
    expect(await client.waitForCompletion("r", { timeout: "1h" })).toMatchObject({ status: "succeeded" });
    expect(lines()).toEqual(["GET /stage/runs/r", "GET /stage/runs/r?wait=25000ms", "GET /stage/runs/r?wait=25000ms"]);
  });

  test("does not hurry when the server does not wait", async () => {
    const client = await scripted([[200, run]]);
    await expect(client.waitForCompletion("r", { timeout: "3s" })).rejects.toMatchObject({ code: "wait_timeout" });
    expect(asked.length).toBeLessThanOrEqual(6);
  });

  test.each([0, 1])("of a run that is parked fails, as soon as answer %i tells", async (at) => {
    const pause = { code: "step_missing", message: "The code is gone." };
    const parked = { ...run, status: "paused", pause };
    const client = await scripted([
      [200, at === 0 ? parked : run],
      [200, parked],
    ]);
    await expect(client.waitForCompletion("r")).rejects.toMatchObject({ code: "run_parked", details: { pause } });
    expect(asked).toHaveLength(at + 1);
  });
});

describe("who asks", () => {
  test("is told by a token for each request", async () => {
    let issued = 0;
    const client = await scripted([[200, run]], { auth: { bearer: async () => `token-${++issued}` } });
    await client.get("r");
    await client.get("r");
    expect(asked.map(({ headers }) => headers.authorization)).toEqual(["Bearer token-1", "Bearer token-2"]);
  });

  test("is told by a signature, of the body too, for an address of API Gateway", async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    vi.stubEnv("AWS_SESSION_TOKEN", "session");
    const sent: { url: string; headers: Headers; body: unknown }[] = [];
    const client = createHttpClient({
      url: "https://abc.execute-api.eu-central-1.amazonaws.com",
      fetch: async (url, { headers, body }) => {
        sent.push({ url, headers: new Headers(headers), body });
        return Response.json(run, { status: 202 });
      },
    });
    await client.start("w", { input: "ü", runId: "r" });
    await client.list({ tag: { key: "k", value: "a b" }, workflow: "w" }).catch(() => undefined);
    for (const { headers } of sent) {
      expect(headers.get("authorization")).toMatch(
        /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/execute-api\/aws4_request, SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*x-amz-date[a-z0-9;-]*, Signature=[0-9a-f]{64}$/,
      );
      expect(headers.get("x-amz-security-token")).toBe("session");
    }
    expect(sent[0]!.body).toBe('{"input":"ü","runId":"r"}');
  });

  test("is a matter of the address, and of its region", async () => {
    vi.stubEnv("AWS_REGION", "");
    vi.stubEnv("AWS_DEFAULT_REGION", "");
    const client = await scripted([[200, run]]);
    await client.get("r");
    expect(asked[0]!.headers.authorization).toBeUndefined();
    expect(() => createHttpClient({ url: "https://api.example.com", auth: "iam" })).toThrow(/region.*AWS_REGION/);
    expect(() => createHttpClient({ url: "localhost:7070" })).toThrow(/"localhost:7070".*http:\/\//);
  });
});

test("a run that is parked on a local server ends the wait for it", async () => {
  const dataless = await createEngine({ workflows: [workflow("w", {}, (w) => w.signal("go", {}))], logger });
  const server = await startDevServer({ engine: dataless, port: 0, logger });
  onTestFinished(async () => {
    await server.close();
    await dataless.stop({ graceMs: 0 });
  });
  const client = createHttpClient({ url: server.url });
  const { runId } = await client.start("w");
  const wait = client.waitForCompletion(runId, { timeout: "8s" });
  await client.pause(runId);
  await client.resume(runId);
  await client.cancel(runId);
  expect((await wait).status).toBe("cancelled");
});
