/**
 * Keeps a customer's CRM and ours the same. Two syncs of one customer would overwrite each other's position, so each
 * customer has one at a time and the next one waits for its turn; and all of them together call the CRM no more often
 * than it allows. The CRM is simulated at the end of this file, and refuses who is too fast.
 *
 *     npx pawl dev examples/sync.ts --demo examples/sync.json
 */
import { FatalError, workflow } from "pawl";
import * as z from "zod";

const Request = z.object({
  customer: z.string().min(1).max(64),
  objects: z.array(z.enum(["contacts", "deals"])).min(1),
  /** From the beginning, instead of from where the last sync ended. */
  full: z.boolean().default(false),
});

export const sync = workflow(
  "sync",
  {
    input: Request,
    timeout: "1h",
    concurrency: { key: ({ input }) => input.customer, limit: 1 },
    defaults: { retry: { maxAttempts: 5, backoff: { type: "exponential", base: "1s", jitter: "full" } } },
  },
  (w) => {
    const position = w.step("position", {
      run: ({ input }) => ({ from: input.full ? 0 : (positions.get(input.customer) ?? 0) }),
    });

    // What the CRM's contract says, shared by all steps that give this key.
    const contacts = w.step("contacts", {
      after: [position],
      when: ({ input }) => input.objects.includes("contacts"),
      rateLimit: { key: "crm-api", limit: 5, per: "1s" },
      run: ({ input, outputs }) => crm.changes(input.customer, "contacts", outputs.position.from),
    });

    const deals = w.step("deals", {
      after: [position],
      when: ({ input }) => input.objects.includes("deals"),
      rateLimit: { key: "crm-api", limit: 5, per: "1s" },
      run: ({ input, outputs }) => crm.changes(input.customer, "deals", outputs.position.from),
    });

    const push = w.step("push", {
      after: [contacts, deals],
      rateLimit: { key: "crm-api", limit: 5, per: "1s" },
      // The same key for all attempts: what was taken over before an answer was lost is not taken over twice.
      run: ({ input, outputs, idempotencyKey }) => {
        const changes = [...(outputs.contacts ?? []), ...(outputs.deals ?? [])];
        return { changes: changes.length, upTo: crm.push(input.customer, changes, idempotencyKey) };
      },
    });

    return w.step("advance", {
      after: [position, push],
      run: ({ input, outputs }) => {
        const { from } = outputs.position;
        const { changes, upTo } = outputs.push;
        const now = positions.get(input.customer) ?? 0;
        if (!input.full && now !== from)
          throw new FatalError(`Another sync has moved the position from ${from} to ${now}.`);
        positions.set(input.customer, upTo);
        return { customer: input.customer, changes, from, upTo };
      },
    });
  },
);

/** Where the last sync of each customer ended. */
const positions = new Map<string, number>();

// From here on: the CRM, simulated. Every customer has three changes of each kind, and one more for each push.

class TooManyCalls extends Error {}

const callsMs: number[] = [];
const pushed = new Map<string, number>();

/** Tests bring their own time, and look at what the CRM has seen. */
export const crm = {
  now: (): number => Date.now(),
  refused: 0,
  calls: callsMs,

  changes(customer: string, object: string, from: number): string[] {
    answer();
    return [1, 2, 3].map((number) => `${customer}/${object}/${from + number}`);
  },

  push(customer: string, changes: readonly string[], idempotencyKey: string): number {
    answer();
    const known = pushed.get(idempotencyKey);
    if (known !== undefined) return known;
    const upTo = (positions.get(customer) ?? 0) + changes.length;
    pushed.set(idempotencyKey, upTo);
    return upTo;
  },
};

function answer(): void {
  const nowMs = crm.now();
  const recent = callsMs.filter((atMs) => atMs > nowMs - 1_000).length;
  if (recent >= 5) {
    crm.refused++;
    throw new TooManyCalls("crm.example answers 429");
  }
  callsMs.push(nowMs);
}
