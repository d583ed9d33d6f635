// Hunts: what only a real socket shows: waits that outlive their client, stops that hang, foreign web pages, half-read bodies.
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { bodyBytes, ErrorAnswer } from "../../lib/api/schemas.ts";
import { type DevServer, type DevServerOptions, startDevServer } from "../../lib/dev/http-server.ts";
import { rawAnswer } from "../../lib/dev/unreadable-requests.ts";
import { createEngine, type Engine, type Logger, workflow } from "../../lib/index.ts";

const waiting = workflow("waiting", {}, (w) =>
  w.step("forever", { run: ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", reject)) }),
);

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

async function started(options: Partial<DevServerOptions> = {}): Promise<DevServer> {
  const engine = await createEngine({ workflows: [waiting], logger: silent });
  const server = await startDevServer({ engine, port: 0, logger: silent, ...options });
  onTestFinished(async () => {
    await server.close();
    await engine.stop({ graceMs: 0 });
  });
  return server;
}

const json = { "content-type": "application/json" };

test("a client that disconnects ends its wait", async () => {
  const { engine, url } = await started();
  const ended = spyOnWaits(engine);
  await fetch(`${url}/workflows/waiting/runs`, { method: "POST", headers: json, body: '{"runId":"r"}' });
  const client = new AbortController();
  const answer = fetch(`${url}/runs/r?wait=25s`, { signal: client.signal });
  await expect.poll(() => ended.begun).toBe(1);
  expect(ended.count).toBe(0);
  client.abort();
  await expect(answer).rejects.toThrow("aborted");
  await expect.poll(() => ended.count).toBe(1);
});

test("closing answers the waits that are open, and then nobody", async () => {
  const server = await started();
  const { url, engine } = server;
  const ended = spyOnWaits(engine);
  await fetch(`${url}/workflows/waiting/runs`, { method: "POST", headers: json, body: '{"runId":"r"}' });
  const answer = fetch(`${url}/runs/r?wait=25s`);
  await expect.poll(() => ended.begun).toBe(1);
  const startedAt = performance.now();
  await server.close();
  expect(performance.now() - startedAt).toBeLessThan(2_500);
  expect(await (await answer).json()).toMatchObject({ runId: "r", status: "running" });
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
});

test("closing does not wait for a client that never finishes its request", async () => {
  const server = await started();
  const { port } = new URL(server.url);
  const socket = connect(Number(port), "127.0.0.1");
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  socket.write("POST /workflows/waiting/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
  await new Promise((resolve) => socket.once("connect", resolve));
  await fetch(`${server.url}/healthz`);
  const startedAt = performance.now();
  await server.close();
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});

test("a body that is too large is refused with its answer, and the server goes on", async () => {
  const { url } = await started();
  const body = `{"input":"${"x".repeat(2 * bodyBytes)}"}`;
  const answer = await fetch(`${url}/workflows/waiting/runs`, { method: "POST", headers: json, body });
  expect(answer.status).toBe(413);
  expect(await answer.json()).toMatchObject({ error: { code: "payload_too_large" } });
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test("web pages of others are refused, those of this server are not", async () => {
  const { url } = await started();
  const ask = async (headers: Record<string, string>): Promise<unknown> => {
    const body = await rawRequest(`${url}/runs/r/cancel`, headers);
    return (JSON.parse(body) as { error: { code: string } }).error.code;
  };
  const { host, port } = new URL(url);
  expect(await ask({ origin: "https://evil.example" })).toBe("forbidden_origin");
  expect(await ask({ origin: "null" })).toBe("forbidden_origin");
  expect(await ask({ origin: "http://127.0.0.1:1" })).toBe("forbidden_origin");
  expect(await ask({ host: "rebound.example" })).toBe("forbidden_origin");
  expect(await ask({ host: `rebound.example:${port}`, origin: `http://rebound.example:${port}` })).toBe(
    "forbidden_origin",
  );
  expect(await ask({ origin: `http://${host}` })).toBe("run_not_found");
  expect(await ask({ host: `localhost:${port}` })).toBe("run_not_found");
});

test("a request with an impossible host gets an error of the usual shape", async () => {
  const { url } = await started();
  const body = await rawRequest(`${url}/healthz`, { host: "a b" });
  expect(JSON.parse(body)).toMatchObject({
    error: { code: "invalid_request", docs: "docs/errors.md#invalid_request" },
  });
});

test.each<[string, string, number, string]>([
  ["no HTTP at all", "hello\r\n\r\n", 400, "invalid_request"],
  ["an unknown method", "FROB /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "invalid_request"],
  [
    "a method that is not for servers like this",
    "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    405,
    "method_not_allowed",
  ],
  [
    "header fields that are split",
    "GET / HTTP/1.1\r\nHost: localhost\r\nA: b\rInjected: c\r\n\r\n",
    400,
    "invalid_request",
  ],
  [
    "too many header fields",
    `GET / HTTP/1.1\r\nHost: localhost\r\nA: ${"b".repeat(20_000)}\r\n\r\n`,
    431,
    "headers_too_large",
  ],
  [
    "a URL that is longer than all of them",
    `GET /${"r".repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    431,
    "headers_too_large",
  ],
  ["a URL that is too long", `GET /${"r".repeat(9_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 414, "url_too_long"],
  [
    "a percent sign that encodes nothing",
    "GET /runs/%E0%A4%A HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    400,
    "invalid_request",
  ],
])("%s is answered with an error of the usual shape", async (_, sent, status, code) => {
  const { url } = await started();
  const answer = await rawAnswerTo(url, sent);
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(answer.toLowerCase()).toContain("cache-control: no-store");
  const [, body = ""] = answer.split("\r\n\r\n");
  expect(ErrorAnswer.parse(JSON.parse(body.slice(body.indexOf("{"), body.lastIndexOf("}") + 1)))).toMatchObject({
    error: { code, docs: `docs/errors.md#${code}` },
  });
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test("a request that does not come to its end in time is told so", () => {
  expect(rawAnswer(Object.assign(new Error("slow"), { code: "ERR_HTTP_REQUEST_TIMEOUT" }))).toMatch(
    /^HTTP\/1\.1 408 request_timeout\r\n[^]*"code":"request_timeout"/,
  );
});

test("a body that breaks off into nonsense ends its connection, and no other", async () => {
  const { url } = await started();
  const head = "POST /workflows/waiting/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  await rawAnswerTo(url, `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test("a port in use is told with another to take, and the engine is never started", async () => {
  const { url } = await started();
  const port = Number(new URL(url).port);
  let starts = 0;
  const engine = (): Promise<Engine> => {
    starts++;
    return createEngine({ workflows: [waiting], logger: silent });
  };
  await expect(startDevServer({ engine, port, logger: silent })).rejects.toMatchObject({
    name: "PlainError",
    message: expect.stringMatching(/in use.*--port \d+.*--port 0/),
  });
  expect(starts).toBe(0);
});

test("an engine that does not start frees the port again", async () => {
  const first = await started();
  const port = Number(new URL(first.url).port);
  await first.close();
  const failing = (): Promise<Engine> => Promise.reject(new Error("no disk"));
  await expect(startDevServer({ engine: failing, port, logger: silent })).rejects.toThrow("no disk");
  expect((await started({ port })).url).toBe(first.url);
});

test("an address that is not this machine's is told", async () => {
  const engine = await createEngine({ workflows: [waiting], logger: silent });
  onTestFinished(() => engine.stop());
  await expect(startDevServer({ engine, host: "203.0.113.7", port: 0, logger: silent })).rejects.toThrow(
    "This machine has no address 203.0.113.7",
  );
});

function spyOnWaits(engine: Engine): { begun: number; count: number } {
  const seen = { begun: 0, count: 0 };
  const { waitForEnd } = engine;
  engine.waitForEnd = (runId, options) => {
    seen.begun++;
    return waitForEnd.call(engine, runId, options).finally(() => {
      seen.count++;
    });
  };
  return seen;
}

/** All that comes back until the server closes the connection, or has answered. */
function rawAnswerTo(url: string, sent: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(sent));
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (/\}(\r\n0\r\n\r\n)?$/.test(text)) socket.end();
    });
    socket.on("error", () => undefined).on("close", () => resolve(text));
  });
}

/** fetch sets these headers itself. */
function rawRequest(url: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method: "POST", headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      answer.on("end", () => resolve(text));
    });
    sent.on("error", reject).end();
  });
}
