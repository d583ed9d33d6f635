// Hunts: an example that does not run, adds up wrongly, takes an order that it should refuse, or keeps money that it owes.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test, vi } from "vitest";
import type * as example from "../../examples/order.ts";
import { createEngine, type InputOf, type Logger, type RunView } from "../../lib/index.ts";
import { type Harness, harness, statuses } from "../behaviour/harness.ts";

type OrderWorkflow = typeof example.order;
type Order = InputOf<OrderWorkflow>;

const patient = { timeout: 20_000 };
const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
let order: OrderWorkflow;

beforeAll(async () => {
  vi.stubEnv("ORDER_PACE", "0");
  ({ order } = await import("../../examples/order.ts"));
});

function demo(file = "order.json"): Order {
  return JSON.parse(readFileSync(new URL(`../../examples/${file}`, import.meta.url), "utf8")) as Order;
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
      approval: "skipped 1",
      accept: "succeeded 1",
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
  see(run.compensation).toBe("complete");
  see(run.steps["reserve-north"]?.compensation?.status).toBe("succeeded");
});

describe("what is undone", () => {
  const minute = 60_000;
  const day = 1_440 * minute;
  const words = ["parcels called back", "credit note written", "payment refunded", "stock released"];

  /** The steps in the order in which they were undone; the warehouses, which come last, in none. */
  function undone({ logs }: Harness): string[] {
    const steps = logs.filter(({ message }) => words.includes(message)).map(({ fields }) => String(fields.step));
    return [...steps.slice(0, -2), ...steps.slice(-2).sort()];
  }

  const paymentOf = (run: RunView): unknown => run.steps.charge?.output;

  /** An order that needs an approval, when it waits for it. */
  async function unapproved(): Promise<Harness & { readonly runId: string }> {
    const engine = await harness([order]);
    const input = demo();
    const lines = [{ ...input.lines[0]!, unitPriceCents: 60_000, quantity: 2 }];
    const { runId, steps } = await engine.run(order, { ...input, lines }, minute);
    expect(steps).toMatchObject({ charge: { status: "succeeded" }, approval: { status: "waiting" } });
    return { ...engine, runId };
  }

  test("of an order that cannot be delivered: the invoice, the payment, the reservations", async () => {
    const engine = await harness([order]);
    const run = await engine.run(order, demo("order-undeliverable.json"), 5 * minute);
    expect(run).toMatchObject({
      status: "failed",
      compensation: "complete",
      error: { name: "FatalError", message: 'The carrier cannot deliver to "Postfach 10 44 21"', step: "ship" },
    });
    expect(undone(engine)).toEqual(["invoice", "charge", "reserve-north", "reserve-south"]);
    // The provider is busy at first.
    expect(run.steps.charge?.compensation).toMatchObject({ status: "succeeded", attempt: 2 });
    expect(run.steps.ship).not.toHaveProperty("compensation");
    expect(engine.logs.find(({ message }) => message === "payment refunded")?.fields).toMatchObject({
      outcome: "succeeded",
      paid: "263.68 EUR",
    });
  });

  test("of an order that is cancelled while it waits for its approval: the payment, the reservations", async () => {
    const engine = await unapproved();
    await engine.engine.commands.cancel(engine.runId);
    await expect(
      engine.engine.commands.signal(engine.runId, "approval", { approved: true, by: "Ada" }),
    ).rejects.toThrow();
    await engine.pass(minute);
    const run = await engine.show(engine.runId);
    expect(run).toMatchObject({
      status: "cancelled",
      compensation: "complete",
      steps: { approval: { status: "cancelled" } },
    });
    expect(undone(engine)).toEqual(["charge", "reserve-north", "reserve-south"]);
    expect(statuses(run)).toMatchObject({ accept: "pending", invoice: "pending", ship: "pending" });
  });

  test("of an order that is cancelled while the provider does not answer: a payment that may have been taken", async () => {
    const engine = await harness([order]);
    // The second attempt begins after one second, and hangs.
    const { runId, steps } = await engine.run(order, demo(), 1_500);
    expect(steps.charge).toMatchObject({ status: "running", attempt: 2 });
    await engine.engine.commands.cancel(runId);
    await engine.pass(minute);
    expect(await engine.show(runId)).toMatchObject({
      status: "cancelled",
      compensation: "complete",
      steps: { charge: { status: "unknown" } },
    });
    expect(undone(engine)).toEqual(["charge", "reserve-north", "reserve-south"]);
    expect(engine.logs.find(({ message }) => message === "payment refunded")?.fields).toMatchObject({
      outcome: "unknown",
    });
  });

  test("of an order that is not approved: all, and the reason is told", async () => {
    const engine = await unapproved();
    await engine.engine.commands.signal(engine.runId, "approval", { approved: false, by: "R. Silva" });
    await engine.pass(minute);
    expect(await engine.show(engine.runId)).toMatchObject({
      status: "failed",
      compensation: "complete",
      error: { message: "The order is not approved, by R. Silva." },
    });
    expect(undone(engine)).toEqual(["charge", "reserve-north", "reserve-south"]);
  });

  test("of an order that is approved: nothing", async () => {
    const engine = await unapproved();
    await engine.engine.commands.signal(engine.runId, "approval", { approved: true, by: "R. Silva" });
    await engine.pass(minute);
    const run = await engine.show(engine.runId);
    expect(run).toMatchObject({ status: "succeeded", output: { orderId: "O-10421", paid: "1446.20 EUR" } });
    expect(run).not.toHaveProperty("compensation");
    expect(undone(engine)).toEqual([]);
  });

  test("of an order that nobody approved in time is done again by a redrive, with a payment of its own", async () => {
    const engine = await unapproved();
    const before = paymentOf(await engine.show(engine.runId));
    await engine.pass(2 * day);
    expect(await engine.show(engine.runId)).toMatchObject({ status: "failed", compensation: "complete" });
    await engine.engine.commands.redrive(engine.runId);
    await engine.pass(minute);
    await engine.engine.commands.signal(engine.runId, "approval", { approved: true, by: "R. Silva" });
    await engine.pass(minute);
    const run = await engine.show(engine.runId);
    expect(run.status).toBe("succeeded");
    expect(paymentOf(run)).toMatchObject({ paymentId: expect.stringMatching(/^P-/), paid: "1446.20 EUR" });
    expect(paymentOf(run)).not.toEqual(before);
  });
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
