// Hunts: an example that does not run, adds up wrongly, or takes an order that it should refuse.
import { readFileSync } from "node:fs";
import { beforeAll, expect, test, vi } from "vitest";
import type * as example from "../../examples/order.ts";
import { createEngine, type InputOf, type Logger, type RunView } from "../../lib/index.ts";

type OrderWorkflow = typeof example.order;
type Order = InputOf<OrderWorkflow>;

const patient = { timeout: 20_000 };
const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
let order: OrderWorkflow;

beforeAll(async () => {
  vi.stubEnv("ORDER_PACE", "0.01");
  ({ order } = await import("../../examples/order.ts"));
});

function demo(): Order {
  return JSON.parse(readFileSync(new URL("../../examples/order.json", import.meta.url), "utf8")) as Order;
}

async function runOrder(input: Order, runId: string): Promise<RunView> {
  const engine = await createEngine({ workflows: [order], logger: silent });
  try {
    await engine.start(order, { input, runId });
    return await engine.waitForEnd(runId);
  } finally {
    await engine.stop();
  }
}

test.concurrent(
  "the demo order is paid to the cent, after failures that are seen",
  patient,
  async ({ expect: see }) => {
    const run = await runOrder(demo(), "order-1");
    see(run.status).toBe("succeeded");
    // Standard 309.91 + 20 %, reduced 108.57 + 7 %, untaxed 5.00; shipping 5.90 + 24 x 0.15.
    see(run.steps.price?.output).toEqual({ netCents: 30_991 + 10_857 + 500, taxCents: 6_198 + 760 });
    see(run.output).toMatchObject({ orderId: "O-10421", totalCents: 50_256, paid: "502.56 EUR", parcels: 2 });
    see(
      Object.fromEntries(Object.entries(run.steps).map(([id, step]) => [id, `${step.status} ${step.attempt}`])),
    ).toEqual({
      validate: "succeeded 1",
      price: "succeeded 1",
      screen: "succeeded 1",
      review: "skipped 1",
      "reserve-north": "succeeded 1",
      "reserve-south": "succeeded 1",
      "quote-hare": "failed 2",
      "quote-tortoise": "succeeded 1",
      "report-hare": "succeeded 1",
      total: "succeeded 1",
      charge: "succeeded 3",
      invoice: "succeeded 1",
      "gift-card": "skipped 1",
      ship: "succeeded 1",
      confirm: "succeeded 1",
    });
  },
);

test.concurrent("the same run id gives the same payment, another one another", patient, async ({ expect: see }) => {
  const runs = await Promise.all(["a", "a", "b"].map((runId) => runOrder({ ...demo(), giftMessage: "Enjoy" }, runId)));
  const [first, again, other] = runs.map((run) => (run.output as { paymentId: string }).paymentId);
  see(again).toBe(first);
  see(other).not.toBe(first);
  see(runs[0]?.steps["gift-card"]).toMatchObject({ status: "succeeded", output: { text: "Enjoy" } });
});

test.concurrent("a risky order is refused before anybody is charged", patient, async ({ expect: see }) => {
  const input = demo();
  const lines = [{ ...input.lines[0]!, unitPriceCents: 2_000_000 }];
  const run = await runOrder({ ...input, lines }, "risky");
  see(run).toMatchObject({ status: "failed", error: { name: "FatalError", step: "review" } });
  see(run.steps.charge?.status).not.toBe("succeeded");
  see(run.steps.charge?.attempt).toBe(0);
});

test("orders that make no sense are not taken", async () => {
  const engine = await createEngine({ workflows: [order], logger: silent });
  const good = demo();
  const withLine = (change: object): object => ({ ...good, lines: [{ ...good.lines[0], ...change }] });
  const bad: Record<string, unknown> = {
    "nothing at all": undefined,
    "no lines": { ...good, lines: [] },
    "a sku twice": { ...good, lines: [good.lines[0], good.lines[0]] },
    "no pieces": withLine({ quantity: 0 }),
    "half a piece": withLine({ quantity: 0.5 }),
    "half a cent": withLine({ unitPriceCents: 10.5 }),
    "a negative price": withLine({ unitPriceCents: -1 }),
    "a price in words": withLine({ unitPriceCents: "10" }),
    "an unknown tax class": withLine({ taxClass: "none" }),
    "an unknown warehouse": withLine({ sku: "X-1000" }),
    "an unknown currency": { ...good, currency: "BTC" },
    "no address": { ...good, shippingAddress: undefined },
    "no mail address": { ...good, customer: { ...good.customer, email: "ada" } },
  };
  for (const [what, input] of Object.entries(bad)) {
    await expect(engine.commands.start("order", { input }), what).rejects.toMatchObject({ code: "invalid_input" });
  }
  await engine.stop();
});
