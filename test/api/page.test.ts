// Hunts: a page that shows requests or answers other than those of the API, and a route that it does not show.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as z from "zod";
import { createRunMeter } from "../../lib/cost/run-meter.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { type ApiHarness, apiHarness } from "./api-harness.ts";

const page = readFileSync(new URL("../../docs/http-api.md", import.meta.url), "utf8");

interface Example {
  readonly route: string;
  readonly body: string | undefined;
  readonly status: number;
  readonly answer: unknown;
}

const examples = [...page.matchAll(/```http\n([^\n]+)\n([^]*?)\n?(\d{3})\n([^]*?)```/g)].map(
  ([, route = "", body = "", status, answer = ""]): Example => ({
    route,
    body: body.trim() === "" ? undefined : body.trim(),
    status: Number(status),
    answer: JSON.parse(answer) as unknown,
  }),
);

class CardDeclined extends FatalError {
  override readonly name = "CardDeclined";
}

const tokens: string[] = [];
const order = workflow("order", { input: z.strictObject({ orderId: z.string(), amount: z.number() }) }, (w) => {
  const charge = w.step("charge", {
    output: z.strictObject({ paymentId: z.string() }),
    run: ({ input }) => {
      if (input.amount > 1_000) throw new CardDeclined("Insufficient funds");
      return { paymentId: "P-7" };
    },
  });
  const payload = z.strictObject({ approved: z.boolean(), by: z.string() });
  const approval = w.signal("approval", { after: [charge], payload });
  return w.step("ship", { after: [approval], run: () => ({ parcel: "x" }) });
});
const review = workflow("review", {}, (w) =>
  w.step("draft", { run: ({ interrupt }) => interrupt({ question: "Is it good?" }, z.object({ ok: z.boolean() })) }),
);
const payment = workflow("payment", {}, (w) =>
  w.callback("paid", {
    output: z.strictObject({ reference: z.string() }),
    heartbeatTimeout: "1m",
    run: ({ token }) => void tokens.push(token),
  }),
);

/** What the page takes for granted. */
async function prepare({ request }: ApiHarness): Promise<void> {
  const amounts: Record<string, number> = { "order-2": 42, "order-3": 42, "order-4": 5_000, "order-5": 5_000 };
  for (const [runId, amount] of Object.entries(amounts)) {
    await request("POST /workflows/order/runs", { runId, input: { orderId: runId, amount } });
  }
  for (const runId of ["order-4", "order-5"]) {
    expect((await request(`GET /runs/${runId}?wait=5s`)).body.status).toBe("failed");
  }
  await request("POST /workflows/review/runs", { runId: "review-1" });
  for (const [at, runId] of ["payment-1", "payment-2"].entries()) {
    await request("POST /workflows/payment/runs", { runId });
    await expect.poll(() => tokens.length).toBe(at + 1);
    await expect.poll(async () => (await request(`GET /runs/${runId}`)).body.steps.paid.status).toBe("waiting");
  }
  await expect.poll(async () => (await request("GET /runs/review-1")).body.steps.draft.status).toBe("waiting");
}

test("what the page shows is what happens, in its order", { timeout: 60_000 }, async () => {
  const meter = createRunMeter();
  const api = await apiHarness([order, review, payment], { costOf: (runId) => meter.costOf(runId) }, meter.between);
  const { request } = api;
  await prepare(api);
  const interrupt = (await request("GET /runs/review-1")).body.steps.draft.interrupt.id as string;
  const fingerprint = (await request("GET /failures")).body.failures[0].fingerprint as string;
  const fill = (text: string): string =>
    text
      .replaceAll("$INTERRUPT", interrupt)
      .replaceAll("$FINGERPRINT", fingerprint)
      .replaceAll("$TOKEN", tokens[0]!)
      .replaceAll("$OTHER_TOKEN", tokens[1]!);
  for (const { route, body, status, answer } of examples) {
    await beforeExample[route]?.(api);
    // What the page leaves out between two of its requests may take a moment.
    await expect
      .poll(
        async () => {
          const answered = await request(fill(route), body === undefined ? undefined : fill(body));
          return { route, status: answered.status, body: answered.body as unknown };
        },
        { timeout: 5_000 },
      )
      .toEqual({ route, status, body: matching(answer) });
  }
});

/** What somebody else has done meanwhile. */
const beforeExample: Readonly<Record<string, (api: ApiHarness) => Promise<unknown>>> = {
  "GET /runs?workflow=order&status=succeeded,cancelled&limit=1": async ({ request }) => {
    await request("POST /runs/order-4/signals/approval", { approved: true, by: "Ada" });
    await request("GET /runs/order-4?wait=5s");
    await request("GET /runs/order-1-again?wait=5s");
  },
  "GET /stats?days=1&workflow=order": ({ request }) => request("GET /runs/order-4?wait=5s"),
  "POST /operations/end-the-drafts/abort": ({ request }) => {
    const filter = { workflow: "payment", status: "running" };
    return request("POST /operations", {
      action: "terminate",
      filter,
      operationId: "end-the-drafts",
      ratePerSecond: 1,
    });
  },
};

test("every route has an example", async () => {
  const { request } = await apiHarness([]);
  const { routes } = (await request("GET /")).body as { routes: readonly string[] };
  const patterns = routes.map((route) => ({
    route,
    pattern: new RegExp(`^${route.replaceAll(/\{\w+\}/g, "[^/?]+")}(\\?|$)`),
  }));
  const without = patterns.filter(({ pattern }) => !examples.some(({ route }) => pattern.test(route)));
  expect(without.map(({ route }) => route)).toEqual([]);
  for (const { route } of patterns) expect(page, route).toContain(`\`${route}`);
});

/** `…` stands for anything: as a value, or as what an object or a list has beside. */
function matching(shown: unknown): unknown {
  if (shown === "…") return expect.anything();
  if (Array.isArray(shown)) {
    const others = shown.filter((one) => one !== "…").map(matching);
    return others.length === shown.length ? others : expect.arrayContaining(others);
  }
  if (typeof shown !== "object" || shown === null) return shown;
  const { "…": more, ...fields } = shown as Record<string, unknown>;
  const matched = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, matching(value)]));
  return more === undefined ? matched : expect.objectContaining(matched);
}
