/**
 * A subscription: a trial of thirty days in which the customer chooses a plan, then the first payment and the activation.
 * What it calls is given to it, so that its tests can bring services of their own: test/examples/subscription.test.ts.
 *
 *     npx pawl dev examples/subscription.ts --demo examples/subscription.json
 */
import { createHash } from "node:crypto";
import { workflow } from "pawl";
import * as z from "zod";

const Customer = z.object({
  customerId: z.string().regex(/^C-\d+$/, "must be C, a dash and digits"),
  email: z.email(),
});

const Plan = z.enum(["monthly", "yearly"]);

const centsOf = { monthly: 900, yearly: 9_000 } as const;

export interface Bank {
  /** The same key gives the same payment: asking twice takes the money once. */
  charge(payment: { customerId: string; cents: number; idempotencyKey: string }): Promise<{ paymentId: string }>;
  refund(paymentId: string, idempotencyKey: string): Promise<void>;
}

export interface Mailer {
  /** The same key sends the same mail once. */
  send(mail: { to: string; subject: string; idempotencyKey: string }): Promise<void>;
}

export interface Accounts {
  /** Opening what is open changes nothing. */
  open(customerId: string, plan: z.output<typeof Plan>): Promise<void>;
}

export interface Services {
  readonly bank: Bank;
  readonly mailer: Mailer;
  readonly accounts: Accounts;
}

export function subscriptionWith({ bank, mailer, accounts }: Services) {
  return workflow("subscription", { input: Customer }, (w) => {
    const welcome = w.step("welcome", {
      run: ({ input, idempotencyKey }) =>
        mailer.send({ to: input.email, subject: "Your trial has begun", idempotencyKey }),
    });

    // Sent as a signal by the customer. Without it, the cheapest plan begins when the trial ends.
    const plan = w.signal("plan", {
      after: [welcome],
      payload: Plan,
      timeout: "30d",
      onTimeout: { value: "monthly" },
    });

    const charge = w.step("charge", {
      after: [plan],
      retry: { maxAttempts: 4, backoff: { type: "exponential", base: "1h", max: "1d" } },
      run: ({ input, outputs, idempotencyKey }) =>
        bank.charge({ customerId: input.customerId, cents: centsOf[outputs.plan], idempotencyKey }),
      compensate: async ({ output, idempotencyKey }) => {
        if (output !== undefined) await bank.refund(output.paymentId, idempotencyKey);
      },
    });

    return w.step("activate", {
      after: [plan, charge],
      run: async ({ input, outputs }) => {
        await accounts.open(input.customerId, outputs.plan);
        return { plan: outputs.plan, ...outputs.charge };
      },
    });
  });
}

// From here on: the outside world, simulated.

export const subscription = subscriptionWith({
  bank: {
    charge: async ({ idempotencyKey }) => ({ paymentId: idFrom(idempotencyKey) }),
    refund: async () => undefined,
  },
  mailer: { send: async () => undefined },
  accounts: { open: async () => undefined },
});

/** The same key gives the same id. */
function idFrom(idempotencyKey: string): string {
  return `P-${createHash("sha256").update(idempotencyKey).digest("hex").slice(0, 10)}`;
}
