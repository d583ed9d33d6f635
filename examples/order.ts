/**
 * An order: checked, priced, reserved in two warehouses, paid, invoiced and shipped; a large one is approved by a person
 * first. What cannot be delivered, is not approved or is cancelled is undone: the invoice, the payment, the reservations.
 * The services that it calls are simulated at the end of this file; some of them fail, as real ones do.
 *
 *     npx pawl dev examples/order.ts --demo examples/order.json
 *     npx pawl dev examples/order.ts --demo examples/order-undeliverable.json
 */
import { createHash } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { FatalError, RetryableError, workflow } from "pawl";
import * as z from "zod";

const Cents = z.int().min(0).max(100_000_000);

const Line = z.object({
  sku: z.string().regex(/^[NS]-\d{4}$/, "must be N (north) or S (south), a dash and four digits"),
  name: z.string().min(1),
  quantity: z.int().min(1).max(999),
  /** Without tax. */
  unitPriceCents: Cents,
  taxClass: z.enum(["standard", "reduced", "zero"]),
});

const Order = z.object({
  orderId: z.string().regex(/^O-\d+$/, "must be O, a dash and digits"),
  currency: z.enum(["EUR", "GBP", "USD"]),
  customer: z.object({ customerId: z.string(), name: z.string(), email: z.email() }),
  shippingAddress: z.object({
    street: z.string(),
    city: z.string(),
    postalCode: z.string(),
    country: z.string().length(2),
  }),
  lines: z
    .array(Line)
    .min(1)
    .max(200)
    .refine((lines) => new Set(lines.map(({ sku }) => sku)).size === lines.length, "must not name a sku twice"),
  giftMessage: z.string().max(500).optional(),
});

/** From here on a person approves. */
const approvalFromCents = 100_000;

export const order = workflow("order", { input: Order, timeout: "5d" }, (w) => {
  const validate = w.step("validate", {
    run: async ({ input, signal, log }) => {
      await work(400, signal);
      const units = input.lines.reduce((sum, { quantity }) => sum + quantity, 0);
      log.info("order accepted", { orderId: input.orderId, lines: input.lines.length, units });
      return { units };
    },
  });

  const price = w.step("price", {
    after: [validate],
    output: z.object({ netCents: Cents, taxCents: Cents }),
    run: async ({ input, signal }) => {
      await work(500, signal);
      return priceOf(input.lines);
    },
  });

  const screen = w.step("screen", {
    after: [price],
    run: async ({ input, outputs, signal }) => {
      await work(900, signal);
      return { risk: riskOf(outputs.price.netCents, input.shippingAddress.country) };
    },
  });

  // Most orders skip this step; a skipped step holds nothing up.
  const review = w.step("review", {
    after: [screen],
    when: ({ outputs }) => outputs.screen.risk >= 80,
    run: ({ input, outputs }) => {
      throw new FatalError(`Order ${input.orderId} has a risk of ${outputs.screen.risk} and is refused.`);
    },
  });

  const reserveNorth = w.step("reserve-north", {
    after: [validate],
    taskQueue: "inventory",
    run: ({ input, idempotencyKey, signal }) => reserve(input.lines, "N", idempotencyKey, signal),
    compensate: async ({ input, output, signal, log }) => {
      await release(signal);
      log.info("stock released", { orderId: input.orderId, reservationId: output?.reservationId });
    },
  });

  const reserveSouth = w.step("reserve-south", {
    after: [validate],
    taskQueue: "inventory",
    run: ({ input, idempotencyKey, signal }) => reserve(input.lines, "S", idempotencyKey, signal),
    compensate: async ({ input, output, signal, log }) => {
      await release(signal);
      log.info("stock released", { orderId: input.orderId, reservationId: output?.reservationId });
    },
  });

  // Two carriers are asked; the first one that answers ships. A carrier that is down stops no order.
  const quoteHare = w.step("quote-hare", {
    after: [validate],
    onFailure: "continue",
    retry: { maxAttempts: 2, backoff: { type: "fixed", base: "400ms" } },
    run: ({ signal }) => askHare(signal),
  });

  const quoteTortoise = w.step("quote-tortoise", {
    after: [validate],
    onFailure: "continue",
    run: ({ outputs, signal }) => askTortoise(outputs.validate.units, signal),
  });

  w.step("report-hare", {
    afterFailed: [quoteHare],
    run: ({ errors, log }) => {
      log.warn("a carrier gave no quote", { carrier: "hare", reason: errors["quote-hare"]?.message });
      return { reported: true };
    },
  });

  const total = w.step("total", {
    after: [price],
    afterAny: [quoteHare, quoteTortoise],
    run: ({ outputs }) => {
      const quote = outputs["quote-hare"] ?? outputs["quote-tortoise"];
      if (quote === undefined) throw new FatalError("No carrier ships this order.");
      const { netCents, taxCents } = outputs.price;
      return { carrier: quote.carrier, shippingCents: quote.cents, totalCents: netCents + taxCents + quote.cents };
    },
  });

  const charge = w.step("charge", {
    after: [total, review, reserveNorth, reserveSouth],
    timeout: "2s",
    retry: { maxAttempts: 6, backoff: { type: "linear", base: "700ms" } },
    // The provider knows the key: however often it is asked, the customer pays once.
    run: ({ input, outputs, attempt, idempotencyKey, signal }) =>
      pay({ amountCents: outputs.total.totalCents, currency: input.currency, idempotencyKey }, attempt, signal),
    compensate: {
      timeout: "30s",
      retry: { maxAttempts: 20, backoff: { type: "exponential", base: "2s", max: "10m" } },
      // A payment without answer may have been taken, or not: the provider refunds what it finds for the order.
      run: async ({ input, outcome, output, attempt, idempotencyKey, signal, log }) => {
        const { refundId } = await refund({ orderId: input.orderId, idempotencyKey }, attempt, signal);
        log.info("payment refunded", { refundId, outcome, paid: output?.paid });
      },
    },
  });

  // Sent as a signal by whoever decides. No answer within two days is a no.
  const approval = w.signal("approval", {
    after: [charge, total],
    when: ({ outputs }) => outputs.total.totalCents >= approvalFromCents,
    payload: z.object({ approved: z.boolean(), by: z.string().min(1) }),
    timeout: "2d",
    onTimeout: { value: { approved: false, by: "nobody" } },
  });

  const accept = w.step("accept", {
    after: [approval],
    run: ({ outputs }) => {
      const { approved, by } = outputs.approval ?? { approved: true, by: "the rules" };
      if (!approved) throw new FatalError(`The order is not approved, by ${by}.`);
      return { by };
    },
  });

  const invoice = w.step("invoice", {
    after: [accept, total],
    output: z.object({ invoiceId: z.string(), totalCents: Cents }),
    run: async ({ outputs, idempotencyKey, signal }) => {
      await work(700, signal);
      return { invoiceId: idFrom("I", idempotencyKey), totalCents: outputs.total.totalCents };
    },
    compensate: async ({ output, idempotencyKey, signal, log }) => {
      await work(400, signal);
      log.info("credit note written", { creditNoteId: idFrom("C", idempotencyKey), invoiceId: output?.invoiceId });
    },
  });

  const giftCard = w.step("gift-card", {
    after: [accept],
    when: ({ input }) => input.giftMessage !== undefined,
    run: async ({ input, signal }) => {
      await work(300, signal);
      return { text: input.giftMessage ?? "" };
    },
  });

  const ship = w.step("ship", {
    after: [invoice, total, reserveNorth, reserveSouth, giftCard],
    run: async ({ input, outputs, idempotencyKey, signal, log }) => {
      await handOver(input.shippingAddress.street, signal);
      const parcels = [outputs["reserve-north"], outputs["reserve-south"]].filter(({ lines }) => lines > 0).length;
      log.info("handed to the carrier", { carrier: outputs.total.carrier, parcels });
      return { trackingId: idFrom("T", idempotencyKey), parcels };
    },
    compensate: async ({ input, output, signal, log }) => {
      await work(600, signal);
      log.info("parcels called back", { orderId: input.orderId, trackingId: output?.trackingId });
    },
  });

  return w.step("confirm", {
    after: [charge, invoice, ship],
    run: async (context) => {
      const { input, outputs, signal } = context;
      await work(400, signal);
      // The order need not wait for the statistics; a server that stops does.
      context.background(countSale());
      return {
        orderId: input.orderId,
        ...outputs.charge,
        ...outputs.invoice,
        ...outputs.ship,
      };
    },
  });
});

/** Hundredths of a percent. */
const taxRates = { standard: 2_000, reduced: 700, zero: 0 } as const;

/** Tax is rounded once per class, half up, in whole cents. */
function priceOf(lines: readonly z.output<typeof Line>[]): { netCents: number; taxCents: number } {
  const netByClass = { standard: 0, reduced: 0, zero: 0 };
  for (const { taxClass, quantity, unitPriceCents } of lines) netByClass[taxClass] += quantity * unitPriceCents;
  const { standard, reduced, zero } = netByClass;
  const taxOf = (netCents: number, rate: number): number => Math.floor((netCents * rate + 5_000) / 10_000);
  return {
    netCents: standard + reduced + zero,
    taxCents: taxOf(standard, taxRates.standard) + taxOf(reduced, taxRates.reduced) + taxOf(zero, taxRates.zero),
  };
}

function riskOf(netCents: number, country: string): number {
  return Math.min(100, Math.floor(netCents / 20_000) + (country === "DE" || country === "FR" ? 0 : 30));
}

// From here on: the outside world, simulated. Each service takes its time, and stops when its caller is aborted.

/** Multiplies the time that services take; tests have none. */
const pace = Number(process.env.ORDER_PACE ?? 1);

async function work(ms: number, signal: AbortSignal): Promise<void> {
  if (pace > 0) await setTimeout(ms * pace, undefined, { signal });
}

/** The same key gives the same id: asking twice makes nothing twice. */
function idFrom(prefix: string, idempotencyKey: string): string {
  return `${prefix}-${createHash("sha256").update(idempotencyKey).digest("hex").slice(0, 10)}`;
}

async function reserve(
  lines: readonly z.output<typeof Line>[],
  warehouse: "N" | "S",
  idempotencyKey: string,
  signal: AbortSignal,
): Promise<{ reservationId: string; lines: number }> {
  const own = lines.filter(({ sku }) => sku.startsWith(warehouse));
  await work(300 + 200 * own.length, signal);
  return { reservationId: idFrom("R", idempotencyKey), lines: own.length };
}

async function release(signal: AbortSignal): Promise<void> {
  await work(500, signal);
}

/** A carrier does not deliver to a post office box. */
async function handOver(street: string, signal: AbortSignal): Promise<void> {
  await work(1_100, signal);
  if (/^(Postfach|P\.?O\.? Box)\b/i.test(street)) throw new FatalError(`The carrier cannot deliver to "${street}"`);
}

async function askHare(signal: AbortSignal): Promise<{ carrier: string; cents: number }> {
  await work(300, signal);
  throw new Error("hare.example answers 503");
}

async function askTortoise(units: number, signal: AbortSignal): Promise<{ carrier: string; cents: number }> {
  await work(1_300, signal);
  return { carrier: "tortoise", cents: 590 + 15 * units };
}

async function countSale(): Promise<void> {
  await setTimeout(600 * pace);
}

interface Payment {
  readonly amountCents: number;
  readonly currency: string;
  readonly idempotencyKey: string;
}

/** Refuses the first attempt, does not answer the second, and takes the third. */
async function pay(
  { amountCents, currency, idempotencyKey }: Payment,
  attempt: number,
  signal: AbortSignal,
): Promise<{ paymentId: string; paid: string }> {
  await work(500, signal);
  if (attempt === 1) throw new RetryableError("The payment provider is busy", { after: "1s" });
  if (attempt === 2) await setTimeout(3_600_000, undefined, { signal });
  await work(400, signal);
  return { paymentId: idFrom("P", idempotencyKey), paid: `${(amountCents / 100).toFixed(2)} ${currency}` };
}

interface Refund {
  readonly orderId: string;
  readonly idempotencyKey: string;
}

/** Busy at the first attempt. */
async function refund(
  { orderId, idempotencyKey }: Refund,
  attempt: number,
  signal: AbortSignal,
): Promise<{ refundId: string }> {
  await work(700, signal);
  if (attempt === 1) throw new RetryableError(`No refund for ${orderId} yet: the provider is busy`, { after: "1s" });
  return { refundId: idFrom("F", idempotencyKey) };
}
