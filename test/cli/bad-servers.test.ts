// Hunts: a command that dies of what a server answers, takes garbage for a run, hangs when the answer breaks off, or does
// not say what is wrong and what to do.
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { createProgram } from "../../lib/cli/program.ts";
import { leaves, say } from "./in-process.ts";

/** Lines for all commands that ask a server. */
const lines = [
  "start order",
  "show r",
  "show r --cost",
  "input r",
  "output r",
  "output r step",
  "signal r go",
  "redrive r",
  "redrive r --wait",
  "fork r --from a",
  "cancel r",
  "pause r",
  "resume r",
  "terminate r",
  "purge r",
  "workflows",
  "answer r i",
  "answer r",
  "callback succeed t",
  "ls",
  "ls --all",
  "failures",
  "stats",
  "tail r",
  "tail r --json",
  "graph order",
  "graph order --format mermaid",
  "graph order --format dot",
  "bulk redrive --workflow order --yes",
  "bulk redrive --workflow order --dry-run",
  "bulk cancel --workflow order --yes --wait",
  "bulk terminate --workflow order --yes",
  "bulk signal go --workflow order --yes",
  "bulk purge --workflow order --yes",
  "bulk show o",
  "bulk abort o",
];

type Respond = (response: ServerResponse, method: string, path: string) => void;

const servers: Server[] = [];

async function serverWith(respond: Respond): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => respond(response, request.method ?? "", request.url ?? ""));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  servers.push(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const json = { "content-type": "application/json" };

const bad: readonly (readonly [what: string, respond: Respond, message: RegExp])[] = [
  ["a page", (response) => response.end("<html>"), /with something that is no JSON\. Is there a Pawl server/],
  ["nothing", (response) => response.end(), /with something that is no JSON\. Is there a Pawl server/],
  ["an error of another kind", (response) => response.writeHead(502, json).end('{"message":"Bad"}'), /answered 502: /],
  [
    "a refusal of the gateway",
    (response) => response.writeHead(403, json).end('{"message":"Forbidden"}'),
    /AWS_PROFILE/,
  ],
  [
    "half of an answer",
    (response) =>
      response.writeHead(200, { ...json, "content-length": "100" }).write('{"runId":"r"', () => response.destroy()),
    /broke off in the middle of its answer/,
  ],
  ["a connection that ends", (response) => response.destroy(), /^pawl: No Pawl server answers at .*Start one with/],
];

describe.each(bad)("a server that answers with %s", (_what, respond, message) => {
  test.each(lines)("%s", async (line) => {
    const url = await serverWith(respond);
    const { code, out, err } = await say(...line.split(" "), "--url", url);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(message);
    expect(err).toMatch(/^pawl: [^\n]+\n$/);
  });
});

test.each(lines.filter((line) => !/^(input|output)/.test(line)))("another kind of JSON: %s", async (line) => {
  for (const body of ["[]", "null", "5", "{}", '{"runs":{}}']) {
    const url = await serverWith((response) => response.writeHead(200, json).end(body));
    const { code, out, err } = await say(...line.split(" "), "--url", url);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/answered 200 with something that is not .+ \(.+\)\. Is there a Pawl server of this version/);
  }
});

test("a server that is gone, as it is and as JSON", async () => {
  const url = await serverWith(() => {});
  await new Promise((closed) => servers.at(-1)?.close(closed));
  for (const flags of [[], ["--json"]]) {
    const { code, out, err } = await say("ls", "--url", url, ...flags);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain(`No Pawl server answers at ${url} (ECONNREFUSED). Start one with: pawl dev`);
  }
});

test("a token of a callback is in no message", async () => {
  const url = await serverWith((response) => response.end("<html>"));
  expect((await say("callback", "succeed", "secret-token", "--url", url)).err).not.toContain("secret-token");
});

const time = "2026-11-21T08:00:00.000Z";
const error = { name: "Error", message: "no\u001b[2Jpe", step: "a" };
const step = { status: "failed", attempt: 2, startedAt: time, endedAt: time, error, backgroundErrors: [error] };
const waiting = {
  status: "waiting",
  attempt: 1,
  startedAt: time,
  waitsFor: "answer",
  interrupt: { id: "i", payload: 1, schema: null },
};
const undone = { ...step, status: "succeeded", output: 1, compensation: { status: "failed", attempt: 1, error } };
const run = {
  runId: "r",
  workflow: "order",
  fingerprint: "f",
  status: "failed",
  error,
  compensation: "incomplete",
  redrives: 1,
  tags: { a: "1" },
  parent: { runId: "p", step: "s" },
  steps: { a: step, b: waiting, c: undone },
  createdAt: time,
  endedAt: time,
};
const summary = {
  runId: "r",
  workflow: "order",
  status: "failed",
  error,
  tags: { a: "1" },
  redrives: 0,
  createdAt: time,
  endedAt: time,
};
const node = {
  after: [],
  afterAny: [],
  afterFailed: [],
  afterSettled: [],
  skipWithDependency: false,
  when: true,
  onFailure: "fail",
  taskQueue: "default",
};
const retry = { maxAttempts: 3, backoff: { type: "fixed", baseMs: 1, factor: 1, maxMs: 1, jitter: "none" } };
const workflow = {
  name: "order",
  fingerprint: "f",
  input: null,
  takesInput: false,
  steps: [
    { kind: "step", id: "a", ...node, timeoutMs: 1000, retry },
    { kind: "signal", id: "b", ...node, after: ["a"], payload: null, takesPayload: false, onTimeout: "skip" },
    { kind: "sleep", id: "end", ...node, after: ["a"], afterSettled: ["b"], durationMs: 5 },
  ],
  output: "b",
};
const operation = {
  operationId: "o",
  action: "redrive",
  filter: { workflow: "order" },
  status: "succeeded",
  createdAt: time,
  endedAt: time,
  progress: { selected: 3, done: 1, skipped: 1, failed: 1 },
  failures: [{ runId: "r", code: "status_conflict", message: "no" }],
};
const estimate = {
  action: "redrive",
  dryRun: true,
  runs: 3,
  isLimited: true,
  examples: ["r"],
  seconds: 1,
  estimate: { writeUnits: 1, requests: 1, dollars: 0.5 },
};
const failure = {
  fingerprint: "f",
  workflow: "order",
  step: "a",
  name: "Error",
  message: "no",
  example: "r",
  count: 3,
  firstSeenAt: time,
  lastSeenAt: time,
};
const day = { day: "2026-11-21", runs: 2, byStatus: { failed: 2 }, p50Ms: 5, p95Ms: 9 };
const stats = {
  from: "2026-11-20",
  to: "2026-11-21",
  runs: 2,
  byStatus: { failed: 2 },
  workflows: [{ workflow: "order", runs: 2, byStatus: { failed: 2 }, p50Ms: 5, days: [day] }],
  storage: { bytes: 5000, bytesAt: time, oldestRun: "2026-11-20" },
};

const cost = {
  runId: "r",
  runs: 2,
  attempts: 3,
  isWhole: false,
  dollars: 12.5,
  dollarsPerMillionAttempts: 4.17,
  services: { DynamoDB: 12.5 },
  lines: [{ service: "DynamoDB", what: "write units of the table", units: 20, dollars: 12.5 }],
  region: "us-east-1",
  pricesOf: "2026-11-20",
  assumptions: { memoryMb: 256, invocationMs: 50, changesAtOnce: 20 },
};

/** What a Pawl server answers. */
function answerTo(line: string, method: string, path: string): unknown {
  if (path.endsWith("/cost")) return cost;
  if (path.startsWith("/workflows/") && method === "GET") return workflow;
  if (path === "/workflows") return { workflows: [{ name: "order", fingerprint: "f", steps: ["a"] }] };
  if (path.startsWith("/runs?")) return { runs: [summary] };
  if (path.startsWith("/failures")) return { failures: [failure] };
  if (path.startsWith("/stats")) return stats;
  if (path.startsWith("/operations")) return line.includes("--dry-run") ? estimate : operation;
  return run;
}

describe("whatever is in an answer, the process does not die of it:", () => {
  test.each(lines)("%s", { timeout: 30_000 }, async (line) => {
    let change: (answer: unknown) => unknown = (answer) => answer;
    const served = await serverWith((response, method, path) => {
      response.writeHead(200, json).end(JSON.stringify(change(structuredClone(answerTo(line, method, path)))));
    });
    const sound = await say(...line.split(" "), "--url", served);
    expect(sound.err).not.toContain("Is there a Pawl server");
    expect(sound.out).not.toBe("");
    // No text of a server may move the cursor.
    // eslint-disable-next-line no-control-regex -- this is what must not be there
    if (!line.includes("output") && !line.includes("input")) expect(sound.out).not.toMatch(/\u001b\[2J/);
    const spoilt = fc.tuple(
      fc.nat(),
      fc.oneof(fc.jsonValue(), fc.constantFrom(undefined, "", -1, "running\n\u001b[2J")),
    );
    await fc.assert(
      fc.asyncProperty(spoilt, async ([place, value]) => {
        change = (answer) => replaceAt(answer, place, value);
        const { code, err } = await say(...line.split(" "), "--url", served);
        expect([0, 1]).toContain(code);
        expect(err).not.toMatch(/\n +at /);
      }),
      { numRuns: 40 },
    );
  });
});

test("every command that asks a server is among them", () => {
  const alone = ["cost", "dev", "completion", "complete"];
  const all = leaves(createProgram(() => {})).map(({ path }) => path.join(" "));
  const here = all.filter((path) => lines.some((line) => `${line} `.startsWith(`${path} `)));
  expect(here).toEqual(all.filter((path) => !alone.includes(path)));
});

/** Another value in one place of a JSON value, counted depth first. */
function replaceAt(answer: unknown, place: number, value: unknown): unknown {
  const places: (readonly [holder: Record<string, unknown>, key: string])[] = [];
  const walk = (holder: unknown): void => {
    if (typeof holder !== "object" || holder === null) return;
    for (const key of Object.keys(holder)) {
      places.push([holder as Record<string, unknown>, key]);
      walk((holder as Record<string, unknown>)[key]);
    }
  };
  walk(answer);
  const [holder, key] = places[place % places.length] ?? [];
  if (holder !== undefined && key !== undefined) holder[key] = value;
  return answer;
}
