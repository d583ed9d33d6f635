// Hunts: an id, name, tag or key that becomes a path, an expression, a query or another record on its way into a store, a file or a URL.
import { AsyncLocalStorage } from "node:async_hooks";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { updateRequest } from "../../lib/aws/dynamo-requests.ts";
import { objectKey } from "../../lib/aws/s3-blobs.ts";
import { createHttpClient } from "../../lib/client/index.ts";
import { pathSegment } from "../../lib/client/path-segment.ts";
import { limits } from "../../lib/definition/limits.ts";
import { openFileBlobs } from "../../lib/embedded/file-blobs.ts";
import { createEngine, DefinitionError, type Engine, PawlError, workflow } from "../../lib/index.ts";
import { temporaryFolder } from "../behaviour/harness.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { type Ask, apiOf } from "./api-of.ts";
import { hostileTexts } from "./hostile.ts";
import { sharedFolder } from "./shared-folder.ts";

const hostile = fc.oneof(fc.constantFrom(...hostileTexts), fc.string({ unit: "binary", minLength: 1, maxLength: 60 }));

/** Names that are allowed, and that plain objects have already. */
const innate = ["constructor", "toString", "valueOf", "hasOwnProperty", "then", "toJSON"] as const;

const born = workflow("constructor", { input: z.unknown() }, (w) => {
  const signals = innate.map((id) => w.signal(id, { payload: z.unknown() }));
  return w.step("end", { after: signals, run: ({ outputs }) => ({ ...outputs }) });
});

describe.each(["in memory", "on SQLite"] as const)("a server with its runs %s", (where) => {
  const logger = createRecordingLogger();
  let engine: Engine;
  let ask: Ask;

  /** What the engine goes on with afterwards is the file's, and not that of the test which has asked. */
  let asFile: <Result>(work: () => Result) => Result;

  beforeAll(async () => {
    const dataDir = where === "on SQLite" ? await sharedFolder() : undefined;
    engine = await createEngine({ workflows: [born], logger, ...(dataDir === undefined ? {} : { dataDir }) });
    ask = apiOf(engine, logger);
    asFile = AsyncLocalStorage.snapshot();
  });
  afterAll(() => engine.stop({ graceMs: 0 }));

  test("has no run, workflow, signal, step, question or operation of such a name, and says so", async () => {
    await ask("POST /workflows/constructor/runs", { runId: "known", input: 1 });
    for (const text of [...hostileTexts, "x".repeat(3_000)]) {
      const one = pathSegment(text);
      for (const route of [
        `GET /runs/${one}`,
        `POST /runs/${one}/cancel`,
        `DELETE /runs/${one}`,
        `POST /workflows/${one}/runs`,
        `POST /runs/known/interrupts/${one}`,
        `GET /runs/known/steps/${one}/output`,
        `GET /operations/${one}`,
      ]) {
        // Those that are allowed names of this workflow's are tried below.
        if (innate.some((name) => route.includes(`/${name}`))) continue;
        const { status, body } = await ask(route, route.startsWith("POST") ? {} : undefined);
        expect([route, status, body.error.code]).toEqual([
          route,
          expect.toBeOneOf([400, 404]),
          expect.stringMatching(/^(invalid_request|(run|workflow|interrupt|step|operation|payload)_not_found)$/),
        ]);
      }
    }
    expect(logger.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("takes no run id that means something to anybody else", async () => {
    const start = (runId: string): Promise<unknown> => engine.commands.start("constructor", { runId, input: 1 });
    for (const runId of hostileTexts.filter((text) => !/^[A-Za-z]+$/.test(text))) {
      await expect(start(runId), runId).rejects.toMatchObject({ code: "invalid_request" });
      const { status } = await ask("POST /workflows/constructor/runs", { runId, input: 1 });
      expect(status).toBe(400);
    }
    await expect(start("x".repeat(limits.runIdLength + 1))).rejects.toMatchObject({ code: "invalid_request" });
  });

  test("keeps tags as they are, finds runs by them, and by nothing else", async () => {
    const taken = hostileTexts.filter((text) => text !== "__proto__");
    const values = new Map(taken.map((text, index) => [`tagged-${index}`, text]));
    for (const [runId, text] of values) {
      await engine.commands.start("constructor", { runId, input: 1, tags: { hostile: text, [text]: "key" } });
    }
    for (const [runId, text] of values) {
      expect((await engine.commands.get(runId)).tags).toEqual({ hostile: text, [text]: "key" });
      for (const tag of [
        { key: "hostile", value: text },
        { key: text, value: "key" },
      ]) {
        const { runs } = await engine.queries.list({ tag });
        expect(runs.map((run) => run.runId)).toEqual([runId]);
      }
      const found = await ask(`GET /runs?${new URLSearchParams({ tag: `hostile:${text}` }).toString()}`);
      expect([text, found.status, found.body.runs?.length]).toEqual([text, 200, 1]);
    }
    expect((await engine.queries.list({ tag: { key: "hostile", value: "%" } })).runs).toEqual([]);
  });

  test("keeps hostile payloads exactly, and passes them on", async () => {
    const input = { texts: hostileTexts, record: Object.fromEntries(hostileTexts.map((text) => [text, text])) };
    await asFile(async () => {
      await engine.commands.start("constructor", { runId: "payloads", input });
      for (const id of innate) await engine.commands.signal("payloads", id, input);
    });
    const run = await engine.waitForEnd("payloads");
    expect(run.status).toBe("succeeded");
    expect(JSON.stringify(run.input)).toBe(JSON.stringify(input));
    for (const id of innate) expect(JSON.stringify(run.steps[id]?.output)).toBe(JSON.stringify(input));
  });
});

test("names of workflows and steps are letters, digits, _ and -, so that they are the same everywhere", () => {
  for (const name of hostileTexts.filter((text) => !/^[A-Za-z]+$/.test(text))) {
    expect(() => workflow(name, {}, (w) => w.step("a", { run: () => 1 }))).toThrow(DefinitionError);
    expect(() => workflow("a", {}, (w) => w.step(name, { run: () => 1 }))).toThrow(DefinitionError);
  }
});

test("in an expression of DynamoDB, what comes from outside is a value or a name behind a placeholder", () => {
  fc.assert(
    fc.property(hostile, hostile, (text, other) => {
      const request = updateRequest("table", "run", {
        guard: [
          { field: text, is: "equal", value: other },
          { field: text, is: "oneOf", values: [text, other] },
        ],
        set: { [other]: text },
        remove: [`x${text}`],
      });
      for (const expression of [request.ConditionExpression ?? "", request.UpdateExpression ?? ""]) {
        expect(expression).toMatch(
          /^((SET|REMOVE|AND|OR|IN|attribute_not_exists|attribute_exists|[#:]\d+)|[=<,() ])*$/,
        );
      }
    }),
  );
});

describe("blobs", () => {
  test("lie below their own folder, and go with their run only", async () => {
    const outer = await temporaryFolder();
    const inner = join(outer, "data", "blobs");
    mkdirSync(dirname(inner), { recursive: true });
    writeFileSync(join(outer, "precious"), "untouched");
    const blobs = openFileBlobs(inner);
    const keys = hostileTexts.flatMap((text) => [`${text}/out`, `run/${text}`, `${text}/../../../precious`]);
    for (const key of keys) await blobs.put(key, `of ${key}`);
    for (const key of keys) expect(await blobs.get(key)).toBe(`of ${key}`);
    for (const runId of ["..", "../..", "/", ".", ""]) await blobs.removeAll(runId);
    expect(readdirSync(outer).toSorted()).toEqual(["data", "precious"]);
    expect(readdirSync(join(outer, "data"))).toEqual(["blobs"]);
    expect(readFileSync(join(outer, "precious"), "utf8")).toBe("untouched");
    expect(await blobs.get("run/..")).toBe("of run/..");
    for (const name of readdirSync(inner)) expect(name).toMatch(/^([\da-f]{64}|unfinished)$/);
  });

  test("have keys in S3 that nobody resolves, and that differ when they do", () => {
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(hostile, hostile, (runId, rest) => {
        const key = `${runId}/${rest}`.toWellFormed();
        const object = objectKey(key);
        expect(object).toMatch(/^[\w/~:=-]*$/);
        expect(seen.get(object) ?? key).toBe(key);
        seen.set(object, key);
      }),
    );
  });
});

describe("the HTTP client", () => {
  const asked: URL[] = [];
  const client = createHttpClient({
    url: "https://pawl.example/base",
    fetch: async (url) => {
      asked.push(new URL(url));
      return Response.json({ error: { code: "run_not_found", message: "none", details: null } }, { status: 404 });
    },
  });

  test("asks at the place that it means, whatever the names are", async () => {
    const refused = { code: "run_not_found" };
    for (const text of [...hostileTexts, "\ud800"]) {
      asked.length = 0;
      await expect(client.get(text)).rejects.toMatchObject(refused);
      await expect(client.signal(text, text)).rejects.toMatchObject(refused);
      await expect(client.output("r", text)).rejects.toMatchObject(refused);
      await expect(client.purge(text)).rejects.toMatchObject(refused);
      await expect(client.callbacks.heartbeat(text)).rejects.toMatchObject(refused);
      await expect(client.start(text)).rejects.toMatchObject(refused);
      expect(asked.map(({ host, pathname, search, hash }) => [host, pathname.split("/").length, search, hash])).toEqual(
        [4, 6, 7, 4, 5, 5].map((parts) => ["pawl.example", parts, "", ""]),
      );
      for (const { pathname } of asked) expect(pathname.startsWith("/base/")).toBe(true);
    }
  });

  test("takes no redirect, and says so without telling where it leads", async () => {
    const modes: (string | undefined)[] = [];
    const redirected = createHttpClient({
      url: "https://pawl.example",
      auth: { bearer: async () => "the-token-of-somebody" },
      fetch: async (_url, init) => {
        modes.push(init.redirect);
        return new Response(null, { status: 307, headers: { location: "https://evil.example/?secret" } });
      },
    });
    const error = await redirected.start("order", { input: 1 }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PawlError);
    expect((error as PawlError).message).toContain("307. Redirects are not followed");
    expect((error as PawlError).message).not.toContain("evil");
    expect(new Set(modes)).toEqual(new Set(["manual"]));
  });
});
