// Hunts: an explorer that misses a step which does harm when it runs again, or blames one that does none.
import { expect, test } from "vitest";
import * as z from "zod";
import { workflow } from "../../lib/index.ts";
import { explore } from "../../lib/testing/index.ts";

class Bank {
  readonly payments: { key: string; cents: number }[] = [];
  async charge(cents: number, key: string): Promise<string> {
    const known = this.payments.findIndex((payment) => payment.key === key);
    if (known !== -1) return `P-${known}`;
    return `P-${this.payments.push({ key, cents }) - 1}`;
  }
}

function orderWith(bank: Bank, keyOf: (key: string) => string) {
  return workflow("order", { input: z.object({ cents: z.number() }) }, (w) => {
    const check = w.step("check", { run: ({ input }) => input.cents });
    const charge = w.step("charge", {
      after: [check],
      run: ({ outputs, idempotencyKey }) => bank.charge(outputs.check, keyOf(idempotencyKey)),
    });
    const approval = w.signal("approval", { after: [charge], payload: z.object({ ok: z.boolean() }) });
    return w.step("ship", { after: [charge, approval], run: ({ outputs }) => outputs.charge });
  });
}

test("a charge with the key stands every crash", async () => {
  const startMs = performance.now();
  const report = await explore(
    (t) => orderWith(t.service("bank", new Bank(), { state: (b) => b.payments }), (key) => key),
    {
      input: { cents: 1 },
      signals: { approval: { ok: true } },
    },
  );
  console.log(String(report), performance.now() - startMs);
  expect(report.problems).toEqual([]);
});

test("a charge without the key is found", async () => {
  let n = 0;
  const report = await explore(
    (t) => {
      n = 0;
      return orderWith(t.service("bank", new Bank(), { state: (b) => b.payments }), () => String(n++));
    },
    {
      input: { cents: 1 },
      signals: { approval: { ok: true } },
    },
  );
  console.log(String(report));
  expect(report.problems).not.toEqual([]);
});
