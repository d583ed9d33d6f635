// Hunts: a request, however it is meant, that is answered with a 5xx, late, in a shape that is not documented, or with
// something of our insides. The requests are made from the OpenAPI document, good ones and hostile ones.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import * as z from "zod";
import { FatalError, workflow } from "../../lib/index.ts";
import { apiHarness } from "./api-harness.ts";
import { documented } from "./documented.ts";
import { hostileBytes, hostileHeaders, hostileText, spoilt } from "./hostile.ts";
import { fitting, type JsonSchema } from "./schema-arbitrary.ts";

/** `PAWL_FUZZ_REQUESTS=10000` for many; `PAWL_FUZZ_SEED` repeats those of a run that failed. */
const requests = Number(process.env.PAWL_FUZZ_REQUESTS ?? 500);
const seed = Number(process.env.PAWL_FUZZ_SEED ?? Date.now() % 2 ** 31);
const answerWithinMs = 5_000;

const tokens: string[] = [];

const echo = workflow("echo", { input: z.unknown() }, (w) => w.step("say", { run: ({ input }) => input }));
const strict = workflow("strict", { input: z.strictObject({ n: z.int(), note: z.string().optional() }) }, (w) =>
  w.step("only", { run: ({ input }) => input.n }),
);
const asks = workflow("asks", { concurrency: { limit: 50 } }, (w) => {
  w.signal("approval", { payload: z.strictObject({ ok: z.boolean() }) });
  w.step("review", { run: ({ interrupt }) => interrupt("Well?", z.boolean()) });
  w.callback("paid", {
    output: z.strictObject({ reference: z.string() }),
    run: ({ token }) => void tokens.push(token),
  });
});
const fails = workflow("fails", { input: z.unknown() }, (w) => {
  const held = w.step("held", { run: () => 1, compensate: () => undefined });
  return w.step("charge", { after: [held], run: () => Promise.reject(new FatalError("Insufficient funds")) });
});
const whole = workflow("whole", {}, (w) => {
  const one = w.child("one", { workflow: strict, input: () => ({ n: 1 }) });
  return w.map("many", { after: [one], items: () => [1, 2, 3], run: ({ item }) => item });
});
const workflows = [echo, strict, asks, fails, whole];

/** Bodies that the workflows above are glad of, by the operation's id: a schema that takes all JSON does not tell them. */
const wellMeant: Readonly<Record<string, readonly unknown[]>> = {
  startRun: [...workflows.keys()].map((at) => ({ input: [{ id: 1 }, { n: 1 }, undefined, [1], undefined][at] })),
  signalRun: [{ ok: true }],
  answerInterrupt: [true],
  succeedCallback: [{ reference: "P-7" }],
  forkRun: ["say", "only", "charge", "many"].map((from) => ({ from })),
  redriveRun: [undefined, { set: { charge: 1 }, by: "ada", reason: "paid in cash" }],
  beginOperation: [
    { action: "redrive", filter: { workflow: "fails" } },
    { action: "cancel", filter: { workflow: "asks" }, limit: 2 },
    { action: "signal", filter: { workflow: "asks" }, signal: { name: "approval", payload: { ok: true } } },
    { action: "terminate", filter: { status: "paused" }, dryRun: true },
  ],
};

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: "path" | "query";
    readonly schema: JsonSchema;
  }[];
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: JsonSchema } } };
}

/** The n-th of the tokens and ids that there are when the request is sent: a seed does not know them. */
interface Known {
  readonly known: number;
}

interface Fuzzed {
  readonly method: string;
  readonly path: readonly (
    | string
    | { readonly name: string; readonly value: string | Known; readonly isRaw: boolean }
  )[];
  readonly query: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array<ArrayBuffer> | undefined;
}

const runIds = [
  "echo-1",
  "strict-1",
  "asks-1",
  "asks-2",
  "fails-1",
  "whole-1",
  "whole-1~one",
  "whole-1~many",
  "bulk-1",
  "nobody",
];

/** Names of what there is, by the parameter that takes them. */
const knownNames: Readonly<Record<string, readonly string[]>> = {
  workflow: workflows.map(({ name }) => name),
  name: ["approval", "review"],
  stepId: ["say", "charge", "many", "0"],
  runId: runIds,
  parent: runIds,
  operationId: runIds,
};

function fuzzed(document: {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, JsonSchema> };
}) {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const { schemas } = document.components;
  return fc.oneof(
    ...operations.map(({ path, method, operation }) => ({
      // Others end runs: more are started than that.
      weight: operation.operationId === "startRun" ? 8 : 1,
      arbitrary: ofOperation(path, method, operation, schemas),
    })),
  );
}

function ofOperation(
  path: string,
  method: string,
  { operationId, parameters = [], requestBody }: Operation,
  schemas: Record<string, JsonSchema>,
): fc.Arbitrary<Fuzzed> {
  const parts = path.split(/(\{\w+\})/).map((part): fc.Arbitrary<Fuzzed["path"][number]> => {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined) return fc.constant(part);
    return ofParameter(name, parameters.find((one) => one.name === name)!.schema, schemas);
  });
  const query = parameters
    .filter((one) => one.in === "query")
    .map(({ name, schema }) => ofQuery(name, schema, schemas));
  const strange = fc.tuple(hostileText, hostileText).map(([name, value]) => pair(name, value));
  const good = requestBody === undefined ? undefined : fitting(requestBody.content["application/json"].schema, schemas);
  return fc.record({
    method: fc.oneof(
      { weight: 30, arbitrary: fc.constant(method) },
      {
        weight: 1,
        arbitrary: fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "FROB", "PROPFIND"),
      },
    ),
    path: fc.tuple(...parts),
    query: fc
      .tuple(fc.array(fc.oneof(...query, fc.constant("")), { maxLength: 4 }), rarely(strange, ""))
      .map(([texts, more]) => [...new Set([...texts, more])].filter((text) => text !== "").join("&")),
    headers: fc.oneof(
      { weight: 15, arbitrary: fc.constant<Record<string, string>>({ "content-type": "application/json" }) },
      { weight: 1, arbitrary: hostileHeaders },
    ),
    body:
      good === undefined
        ? rarely(hostileBytes, undefined)
        : fc.oneof(
            { weight: 8, arbitrary: good.map((value) => JSON.stringify(value)) },
            {
              weight: 12,
              arbitrary: fc.constantFrom(...(wellMeant[operationId] ?? [{}])).map((value) => JSON.stringify(value)),
            },
            { weight: 8, arbitrary: spoilt(good).map((value) => JSON.stringify(value)) },
            { weight: 3, arbitrary: hostileBytes },
            { weight: 2, arbitrary: fc.constant(undefined) },
          ),
  });
}

function ofParameter(
  name: string,
  schema: JsonSchema,
  schemas: Record<string, JsonSchema>,
): fc.Arbitrary<Fuzzed["path"][number]> {
  const known = knownNames[name];
  const kind =
    known === undefined ? fc.nat({ max: 1_000 }).map((at): Known => ({ known: at })) : fc.constantFrom(...known);
  const encoded = fc.oneof(
    { weight: 8, arbitrary: kind },
    { weight: 2, arbitrary: fitting(schema, schemas).map(String) },
    { weight: 2, arbitrary: hostileText },
  );
  return fc.oneof(
    { weight: 15, arbitrary: encoded.map((value) => ({ name, value, isRaw: false })) },
    { weight: 1, arbitrary: hostileText.map((value) => ({ name, value, isRaw: true })) },
  );
}

function ofQuery(name: string, schema: JsonSchema, schemas: Record<string, JsonSchema>): fc.Arbitrary<string> {
  const known = knownNames[name];
  return fc
    .oneof(
      {
        weight: 5,
        arbitrary: fitting(schema, schemas).map((value) => (Array.isArray(value) ? value.join(",") : String(value))),
      },
      { weight: 2, arbitrary: hostileText },
      ...(known === undefined ? [] : [{ weight: 5, arbitrary: fc.constantFrom(...known) }]),
    )
    .map((value) => pair(name, value));
}

function rarely<T, Otherwise>(arbitrary: fc.Arbitrary<T>, otherwise: Otherwise): fc.Arbitrary<T | Otherwise> {
  return fc.oneof({ weight: 20, arbitrary: fc.constant(otherwise) }, { weight: 1, arbitrary });
}

function pair(name: string, value: string): string {
  return `${encode(name)}=${encode(value)}`;
}

/** Lone surrogates as the three bytes that they would be: what `encodeURIComponent` refuses to write. */
function encode(text: string): string {
  return Array.from(text)
    .map((character) => (character.isWellFormed() ? encodeURIComponent(character) : "%ED%A0%80"))
    .join("");
}

/** Ids of questions, task tokens and cursors that somebody has been told. */
const told: Record<string, string[]> = { interruptId: [], token: tokens, cursor: [] };

function urlOf({ path, query }: Fuzzed): string {
  const pathname = path.map((part) => {
    if (typeof part === "string") return part;
    const { name, value, isRaw } = part;
    const of = told[name] ?? [];
    const text = typeof value === "string" ? value : (of[value.known % Math.max(of.length, 1)] ?? "none");
    return isRaw ? text : encode(text);
  });
  return `http://localhost${pathname.join("")}${query === "" ? "" : `?${query}`}`;
}

/** Of stacks and of files; the requests have no such texts in them. */
const insides = [
  /\n\s+at /,
  /node_modules/,
  /\.[cm]?[jt]s:\d+/,
  /node:internal/,
  new RegExp(process.cwd().replaceAll(/\W/g, ".")),
];

test(`${requests} requests, good and hostile, are all answered as documented (seed ${seed})`, {
  timeout: 600_000,
}, async () => {
  const { engine, api, logged, request } = await apiHarness(workflows, {
    waitForEnd: (runId, { timeoutMs, signal }) =>
      engine.waitForEnd(runId, { timeoutMs: Math.min(timeoutMs, 10), signal }),
  });
  const check = documented(api);
  for (const runId of runIds) {
    const [name = ""] = runId.split("-");
    if (!runId.includes("~") && knownNames.workflow!.includes(name)) {
      const input = name === "strict" ? { n: 1 } : name === "asks" || name === "whole" ? undefined : { id: runId };
      await request(`POST /workflows/${name}/runs`, { runId, input });
    }
  }
  await expect.poll(async () => (await request("GET /runs/asks-1")).body.steps.review.interrupt).toBeDefined();
  for (const runId of ["asks-1", "asks-2"]) {
    told.interruptId!.push((await request(`GET /runs/${runId}`)).body.steps.review.interrupt?.id as string);
  }
  const statuses = new Map<number, number>();
  const document = (await request("GET /openapi.json")).body as Parameters<typeof fuzzed>[0];
  await fc.assert(
    fc.asyncProperty(fuzzed(document), async (one) => {
      const url = URL.parse(urlOf(one));
      const hasBody = one.method !== "GET" && one.method !== "HEAD" && one.body !== undefined;
      const init = { method: one.method, headers: one.headers, ...(hasBody ? { body: one.body } : {}) };
      if (url === null) return;
      const response = await within(answerWithinMs, Promise.resolve(api.fetch(new Request(url, init))));
      const text = await response.text();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      expect(response.status, text.slice(0, 1_000)).toBeLessThan(500);
      expect(response.headers.get("cache-control")).toBe("no-store");
      for (const inside of insides) expect(text).not.toMatch(inside);
      if (one.method === "HEAD") expect(text).toBe("");
      else check(one.method, url.pathname, response.status, JSON.parse(text));
    }),
    { numRuns: requests, seed, endOnFailure: true },
  );
  const errors = logged.filter(({ level }) => level === "error");
  expect(errors).toEqual([]);
  console.info(
    `Answers by status: ${[...statuses]
      .toSorted()
      .map(([status, count]) => `${status}: ${count}`)
      .join(", ")}.`,
  );
  // Both kinds are there, or the requests would show little.
  for (const status of [200, 202, 400, 404, 409, 415]) expect(statuses.get(status), String(status)).toBeGreaterThan(0);

  await request("POST /workflows/strict/runs", { runId: "after-all", input: { n: 7 } });
  await expect
    .poll(async () => (await request("GET /runs/after-all")).body)
    .toMatchObject({ status: "succeeded", output: 7 });
  expect(({} as Record<string, unknown>).isAdmin).toBeUndefined();
});

async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`There is no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([answer, promise]);
  } finally {
    clearTimeout(timer);
  }
}
