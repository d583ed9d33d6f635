// Hunts: a web page, another machine or a confused browser that makes the local server do something, and errors that tell how it is made.
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { type DevServer, startDevServer } from "../../lib/dev/http-server.ts";
import { createEngine, type Engine, workflow } from "../../lib/index.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";

const done = workflow("done", { input: z.unknown() }, (w) => w.step("only", { run: () => 1 }));
const logger = createRecordingLogger();

let engine: Engine;
let server: DevServer;
let port: string;
let own: string;
/** Every route of the API, with something in the place of its parameters. */
let routes: readonly { readonly method: string; readonly path: string }[];

beforeAll(async () => {
  engine = await createEngine({ workflows: [done], logger });
  server = await startDevServer({ engine, port: 0, logger });
  ({ port, origin: own } = new URL(server.url));
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: Record<string, object> };
  routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({
      method: method.toUpperCase(),
      path: path.replace("{workflow}", "done").replaceAll(/\{\w+\}/g, "x"),
    })),
  );
  expect(routes.length).toBeGreaterThan(15);
});
afterAll(async () => {
  await server.close();
  await engine.stop({ graceMs: 0 });
});

interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** As a browser sends it: with every header that is given, also those that `fetch` sets by itself. */
function send(method: string, path: string, headers: Record<string, string>, body = ""): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(`${server.url}${path}`, { method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function countRuns(): Promise<number> {
  return (await engine.queries.list({})).runs.length;
}

describe("a page of another origin", () => {
  const pages: readonly (readonly [string, () => Record<string, string>])[] = [
    ["any", () => ({ origin: "https://evil.example" })],
    ["a file, or a sandboxed frame", () => ({ origin: "null" })],
    ["another server of this machine", () => ({ origin: "http://127.0.0.1:1" })],
    ["a name that looks like ours", () => ({ origin: `http://127.0.0.1.evil.example:${port}` })],
    ["a name that begins like ours", () => ({ origin: `http://localhost.evil.example:${port}` })],
    ["ours over https", () => ({ origin: `https://127.0.0.1:${port}` })],
    ["ours by another name", () => ({ origin: `http://localhost:${port}` })],
    ["a rebound name", () => ({ host: `evil.example:${port}`, origin: `http://evil.example:${port}` })],
    ["a rebound name, asking for a picture", () => ({ host: `evil.example:${port}` })],
    ["a rebound name with a dot behind", () => ({ host: `localhost.evil.example.:${port}` })],
    ["a rebound address", () => ({ host: `192.168.0.1:${port}`, origin: `http://192.168.0.1:${port}` })],
  ];

  test.each(pages)("(%s) gets nothing from any route, and nothing happens", async (_name, headers) => {
    const before = await countRuns();
    for (const { method, path } of routes) {
      const body = method === "POST" ? '{"input":1}' : "";
      const answer = await send(method, path, { "content-type": "application/json", ...headers() }, body);
      expect([method, path, answer.status]).toEqual([method, path, 403]);
      expect(JSON.parse(answer.text)).toMatchObject({ error: { code: "forbidden_origin" } });
    }
    expect(await countRuns()).toBe(before);
  });

  test("gets no leave by a preflight, and no answer may be read", async () => {
    for (const { path } of routes) {
      for (const origin of ["https://evil.example", own]) {
        const preflight = await send("OPTIONS", path, {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "content-type",
        });
        expect(preflight.status).toBeGreaterThanOrEqual(400);
        for (const name of Object.keys(preflight.headers)) expect(name).not.toMatch(/^access-control-/);
      }
    }
  });

  test("starts nothing by what needs no preflight, not even from a browser that names no origin", async () => {
    const before = await countRuns();
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
      const answer = await send("POST", "/workflows/done/runs", { "content-type": type }, '{"input":1}');
      expect(answer.status).toBe(415);
    }
    // A picture, a script, a style sheet: all that they can ask with changes nothing.
    for (const path of ["/workflows/done/runs", "/runs/x/cancel", "/runs/x/redrive", "/operations"]) {
      const { status } = await send("GET", path, {});
      expect(status).toBe(405);
    }
    expect((await send("POST", "/runs/x/cancel", { "x-http-method-override": "DELETE" })).status).toBe(404);
    expect(await countRuns()).toBe(before);
  });
});

test("a page of its own, and the command line, are welcome", async () => {
  for (const headers of [{}, { origin: own }, { host: `localhost:${port}` }, { host: `pawl.localhost:${port}` }]) {
    const answer = await send(
      "POST",
      "/workflows/done/runs",
      { "content-type": "application/json", ...headers },
      '{"input":1}',
    );
    expect(answer.status).toBe(202);
  }
});

test("nobody reaches it from another machine", async () => {
  const others = Object.values(networkInterfaces())
    .flatMap((addresses = []) => addresses)
    .filter(({ internal, family }) => !internal && family === "IPv4");
  for (const { address } of others) {
    const code = await new Promise((resolve) => {
      const socket = connect({ host: address, port: Number(port) });
      socket.once("connect", () => resolve("connected"));
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "refused"));
      socket.once("close", () => resolve("refused"));
    });
    expect(code).not.toBe("connected");
  }
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
});

test("every answer forbids guessing its type and keeping it, and none tells who made it", async () => {
  for (const { method, path } of routes) {
    const { headers } = await send(method, path, { "content-type": "application/json" }, method === "POST" ? "{}" : "");
    expect(headers).toMatchObject({
      "content-type": expect.stringMatching(/^application\/json/),
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
    });
    expect(headers).not.toHaveProperty("x-powered-by");
    expect(headers).not.toHaveProperty("server");
  }
});

test("no error has a stack, a file or a line of ours in it", async () => {
  const faults = [
    await send("POST", "/workflows/done/runs", { "content-type": "application/json" }, "{"),
    await send("POST", "/workflows/done/runs", { "content-type": "application/json" }, "[".repeat(100_000)),
    await send("POST", "/workflows/done/runs", { "content-type": "application/json" }, '{"runId":1}'),
    await send("GET", "/runs/%00", {}),
    await send("GET", `/runs?cursor=${"x".repeat(100)}`, {}),
    await send("GET", `/${"x".repeat(9_000)}`, {}),
    await send("PROPFIND", "/runs", {}),
    await send("GET", "/runs/x", { host: "a b" }),
  ];
  for (const { status, text } of faults) {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(text).not.toMatch(/\n\s*at |\\n\s*at |node_modules|\/lib\/|\.ts\b|\.js\b|"stack"/);
  }
});
