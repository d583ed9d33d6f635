// Hunts: an event that no webhook is told of, or told under two ids; a signature that receivers refuse; a delivery that never ends.
import { Webhook } from "standardwebhooks";
import { describe, expect, onTestFinished, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import type { Engine } from "../../lib/embedded/engine.ts";
import { startEngine } from "../../lib/embedded/engine.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { type RunSummary, type WebhookOptions, workflow } from "../../lib/index.ts";
import { checkWebhooks, deliveryId, signingKey } from "../../lib/system/webhooks.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { type LogLine, recordingLogger } from "../behaviour/harness.ts";
import { Receiver, secret, url, verified } from "./receiver.ts";

const greet = workflow("greet", {}, (w) => w.step("hello", { run: () => "a private output" }));
const fail = workflow("fail", {}, (w) =>
  w.step("no", {
    retry: { maxAttempts: 1 },
    run: () => {
      throw new Error("no");
    },
  }),
);
const wide = workflow("wide", {}, (w) => w.map("each", { items: () => [1, 2, 3], run: ({ item }) => item }));

interface Scene {
  readonly engine: Engine;
  readonly clock: VirtualClock;
  readonly receiver: Receiver;
  readonly logs: LogLine[];
  deliveries(): Promise<readonly RunSummary[]>;
}

async function scene(options: Partial<WebhookOptions> = {}, more: readonly WebhookOptions[] = []): Promise<Scene> {
  // Receivers refuse what was signed long ago.
  const clock = new VirtualClock(Date.now());
  const logs: LogLine[] = [];
  const logger = recordingLogger(logs);
  const receiver = new Receiver();
  const engine = await startEngine(
    {
      workflows: [greet, fail, wide],
      webhooks: [{ name: "crm", url, secret, ...options }, ...more],
      post: receiver.post,
      clock,
      logger,
    },
    createMemoryBackend({ clock, logger }),
    createMemoryBlobs,
  );
  onTestFinished(async () => {
    const stopped = engine.stop({ graceMs: 0 });
    await clock.advance(1);
    await stopped;
  });
  const deliveries = async (): Promise<readonly RunSummary[]> =>
    (await engine.queries.list({ workflow: "pawl-webhook" })).runs;
  return { engine, clock, receiver, logs, deliveries };
}

describe("each status change", () => {
  test("is told once, signed, under an id of its own", async () => {
    const { engine, clock, receiver } = await scene();
    const startedAtMs = clock.now();
    const { runId } = await engine.start(greet);
    await clock.advance(1_000);
    const bodies = receiver.bodies().toSorted((a, b) => (a.data.id < b.data.id ? -1 : 1));
    const time = new Date(Math.floor(startedAtMs / 1_000) * 1_000).toISOString();
    const common = { runId, workflow: "greet", time };
    expect(bodies).toEqual([
      { type: "run.status_changed", timestamp: time, data: { ...common, id: `${runId}:1`, status: "running" } },
      {
        type: "run.status_changed",
        timestamp: time,
        data: { ...common, id: `${runId}:2`, status: "succeeded", previous: "running" },
      },
    ]);
    expect(new Set(receiver.ids())).toEqual(
      new Set([`${runId}:1`, `${runId}:2`].map((id) => deliveryId({ id }, "crm"))),
    );
    for (const request of receiver.requests) {
      expect(request.url).toBe(url);
      expect(request.headers["content-type"]).toBe("application/json");
      expect(request.headers["webhook-id"]).not.toContain(".");
    }
    await clock.advance(3 * 86_400_000);
    expect(receiver.requests).toHaveLength(2);
  });

  test("is refused by its receiver when a byte of it, or the time, is another", async () => {
    const { engine, clock, receiver } = await scene();
    await engine.start(greet);
    await clock.advance(1_000);
    const [request] = receiver.requests;
    expect(verified(request!)).toBeDefined();
    expect(() => verified({ ...request!, body: `${request!.body} ` })).toThrow();
    expect(() => verified(request!, new Webhook("whsec_b3RoZXIgc2VjcmV0IG9mIGVub3VnaCBieXRlcw=="))).toThrow();
    const later = {
      ...request!.headers,
      "webhook-timestamp": String(Number(request!.headers["webhook-timestamp"]) + 1),
    };
    expect(() => verified({ ...request!, headers: later })).toThrow();
  });

  test("secrets may be any text, or come from a function at each delivery", async () => {
    const text = "a plain text that nobody guesses";
    let asked = 0;
    const given = await scene({ secret: async () => (asked++, text) });
    await given.engine.start(greet);
    await given.clock.advance(1_000);
    const by = new Webhook(text, { format: "raw" });
    expect(given.receiver.requests.map((request) => verified(request, by).data.workflow)).toEqual(["greet", "greet"]);
    expect(asked).toBe(2);
  });

  test("goes to each webhook that wants it, and to no other", async () => {
    const other = { name: "pager", url, secret, statuses: ["failed"], workflows: ["fail"] } as const;
    const { engine, clock, receiver } = await scene({ statuses: ["succeeded", "failed"] }, [other]);
    const failed: string[] = [];
    engine.onEvent(({ id, status }) => status === "failed" && failed.push(id));
    await engine.start(greet, { runId: "g" });
    await engine.start(fail, { runId: "f" });
    await clock.advance(1_000);
    const ids = [
      deliveryId({ id: "g:2" }, "crm"),
      deliveryId({ id: failed[0]! }, "crm"),
      deliveryId({ id: failed[0]! }, "pager"),
    ];
    expect(receiver.ids().toSorted()).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(3);
  });

  test("of parts of maps, and of Pawl's own runs, is told to nobody", async () => {
    const { engine, clock, receiver, deliveries } = await scene();
    await engine.start(wide, { runId: "w" });
    await engine.operations.begin({ action: "redrive", filter: { workflow: "fail" } });
    await clock.advance(5_000);
    expect(receiver.bodies().map(({ data }) => data.id)).toEqual(["w:1", "w:2"]);
    expect(await deliveries()).toHaveLength(2);
  });
});

describe("a delivery", () => {
  const lastOnly = { statuses: ["succeeded"] } as const;

  test("is tried again, under the same id and with a new time, until it is taken", async () => {
    const { engine, clock, receiver, deliveries } = await scene(lastOnly);
    receiver.answers = [500, "refused", 408, 425, 503];
    await engine.start(greet);
    await clock.advance(3_600_000);
    expect(receiver.requests).toHaveLength(6);
    expect(new Set(receiver.ids()).size).toBe(1);
    expect(new Set(receiver.requests.map(({ body }) => body)).size).toBe(1);
    const times = receiver.requests.map(({ headers }) => Number(headers["webhook-timestamp"]));
    expect(times.toSorted((a, b) => a - b)).toEqual(times);
    expect(times[5]!).toBeGreaterThan(times[0]!);
    expect(await deliveries()).toMatchObject([{ status: "succeeded" }]);
  });

  test("without an answer is ended after 15 s, and tried again", async () => {
    const { engine, clock, receiver } = await scene(lastOnly);
    receiver.answers = ["nothing"];
    await engine.start(greet);
    await clock.advance(14_000);
    expect(receiver.requests).toHaveLength(1);
    expect(receiver.requests[0]!.signal.aborted).toBe(false);
    await clock.advance(20_000);
    expect(receiver.requests[0]!.signal.aborted).toBe(true);
    expect(receiver.requests).toHaveLength(2);
  });

  test("is given up after about a day", async () => {
    const { engine, clock, receiver, deliveries } = await scene(lastOnly);
    receiver.answers = Array.from({ length: 100 }, () => 500);
    const startedAtMs = clock.now();
    await engine.start(greet);
    await clock.advance(2 * 86_400_000);
    expect(receiver.requests).toHaveLength(limits.webhookAttempts);
    const hours = (Number(receiver.requests.at(-1)!.headers["webhook-timestamp"]) - startedAtMs / 1_000) / 3_600;
    expect(hours).toBeGreaterThan(8);
    expect(hours).toBeLessThan(40);
    expect(await deliveries()).toMatchObject([
      { status: "failed", error: { name: "WebhookFailed", message: 'Webhook "crm" answered 500.' } },
    ]);
  });

  test.each([
    [410, "wants no more"],
    [404, "no repetition"],
    [400, "no repetition"],
    [401, "no repetition"],
    [302, "redirects are not followed"],
    [307, "redirects are not followed"],
  ])("that is answered %i ends at once, with what to do", async (status, message) => {
    const { engine, clock, receiver, deliveries } = await scene(lastOnly);
    receiver.answers = [status];
    await engine.start(greet);
    await clock.advance(2 * 86_400_000);
    expect(receiver.requests).toHaveLength(1);
    expect(await deliveries()).toMatchObject([
      { status: "failed", error: { name: "WebhookRefused", message: expect.stringContaining(message) } },
    ]);
  });

  test.each([
    ["seconds", () => "120", 120],
    ["a date", (nowMs: number) => new Date(nowMs + 600_000).toUTCString(), 600],
    ["too far ahead", () => "999999", 6 * 3_600],
    ["in the past", () => "Thu, 01 Jan 1970 00:00:00 GMT", 1],
  ])("comes again when its receiver says, within bounds: %s", async (_, retryAfter, seconds) => {
    const { engine, clock, receiver } = await scene(lastOnly);
    receiver.answers = [{ status: 429, retryAfter: retryAfter(clock.now()) }];
    await engine.start(greet);
    await clock.advance((seconds - 2) * 1_000);
    expect(receiver.requests).toHaveLength(1);
    await clock.advance(3_000);
    expect(receiver.requests).toHaveLength(2);
  });

  test("says neither secret, address nor body, in logs or errors", async () => {
    const { engine, clock, receiver, logs, deliveries } = await scene(lastOnly);
    receiver.answers = ["refused", 500, "nothing", 404];
    await engine.start(greet, { runId: "the-run" });
    await clock.advance(3_600_000);
    expect(receiver.requests).toHaveLength(4);
    const [delivery] = await deliveries();
    const shown = await engine.commands.get(delivery!.runId);
    const { input: _input, ...rest } = shown;
    const said = JSON.stringify([logs.map(({ message, fields }) => [message, fields, String(fields.error)]), rest]);
    expect(said).toContain("WebhookRefused");
    expect(said).not.toContain(secret);
    expect(said).not.toContain("a-secret-path");
    expect(said).not.toContain("run.status_changed");
  });

  test("whose secret cannot be had is tried again; one whose webhook is gone ends", async () => {
    let isOut = true;
    const { engine, clock, receiver, deliveries } = await scene({
      ...lastOnly,
      secret: () => {
        if (isOut) throw new Error("the vault is closed");
        return secret;
      },
    });
    await engine.start(greet);
    await clock.advance(1_000);
    expect(receiver.requests).toHaveLength(0);
    isOut = false;
    await clock.advance(3_600_000);
    expect(receiver.bodies()).toHaveLength(1);
    expect(await deliveries()).toMatchObject([{ status: "succeeded" }]);
  });
});

describe("configuration", () => {
  const webhook = { name: "crm", url, secret };
  const cases: readonly (readonly [what: string, webhooks: readonly unknown[], message: RegExp])[] = [
    ["a name that is none", [{ ...webhook, name: "a b" }], /name is "a b"/],
    ["two of one name", [webhook, webhook], /names must differ/],
    ["an address that is none", [{ ...webhook, url: "receiver.example" }], /https:\/\//],
    ["another protocol", [{ ...webhook, url: "ftp://receiver.example" }], /https:\/\//],
    ["credentials in the address", [{ ...webhook, url: "https://me:pw@receiver.example" }], /user name/],
    ["a password in the address", [{ ...webhook, url: "https://:pw@receiver.example" }], /password/],
    ["no secret", [{ name: "crm", url }], /secret is no text/],
    ["a short secret", [{ ...webhook, secret: "short" }], /16 characters/],
    ["a secret that is no Base64", [{ ...webhook, secret: "whsec_!!!" }], /Base64/],
    ["a status of no run", [{ ...webhook, statuses: ["done"] }], /statuses has done/],
    ["Pawl's own workflows", [{ ...webhook, workflows: ["pawl-bulk"] }], /Pawl's own/],
  ];

  test.each(cases)("%s is refused", (_, webhooks, message) => {
    expect(() => checkWebhooks(webhooks as WebhookOptions[])).toThrow(message);
  });

  test("what is wrong with a secret is told without it", () => {
    for (const text of ["not-very-long", "whsec_not base64 at all"]) {
      const check = (): unknown => checkWebhooks([{ ...webhook, secret: text }]);
      expect(check).toThrow();
      expect(check).not.toThrow(text);
    }
  });

  test("a secret from a function is checked when it comes", async () => {
    await expect(signingKey({ ...webhook, secret: () => "short" })).rejects.toThrow(
      /Webhook "crm": its secret has less/,
    );
  });
});
