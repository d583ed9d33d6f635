// Hunts: two syncs of one customer at once, a CRM that is called too often, and a customer who waits for another.
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { crm, sync } from "../../examples/sync.ts";
import type { InputOf } from "../../lib/index.ts";
import { type Harness, harness, virtualClock } from "../behaviour/harness.ts";

const systemNow = crm.now;
afterEach(() => {
  crm.now = systemNow;
  crm.calls.length = 0;
  crm.refused = 0;
});

function demo(customer: string): InputOf<typeof sync> {
  const url = new URL("../../examples/sync.json", import.meta.url);
  return { ...(JSON.parse(readFileSync(url, "utf8")) as InputOf<typeof sync>), customer };
}

async function office(): Promise<Harness> {
  const clock = virtualClock(Date.parse("2026-11-21T08:00:00Z"));
  crm.now = () => clock.now();
  return harness([sync], { clock });
}

describe("the sync of a CRM", () => {
  test("goes on where the last one of the customer ended", async () => {
    const { run } = await office();
    expect(await run(sync, demo("first"), 10_000)).toMatchObject({
      status: "succeeded",
      output: { customer: "first", changes: 6, from: 0, upTo: 6 },
    });
    const contacts = { ...demo("first"), objects: ["contacts" as const] };
    expect((await run(sync, contacts, 10_000)).output).toMatchObject({ changes: 3, from: 6, upTo: 9 });
  });

  test("of many customers at once stays within what the CRM allows, and each customer's come one after the other", async () => {
    const { engine, pass, show } = await office();
    const customers = Array.from({ length: 10 }, (_, index) => `customer-${index}`);
    for (const round of [1, 2, 3]) {
      for (const customer of customers)
        await engine.start(sync, { runId: `${customer}.${round}`, input: demo(customer) });
    }
    expect((await show("customer-7.3")).waitsForTurn).toEqual({ key: "customer-7", ahead: 1 });
    await pass(120_000);
    for (const customer of customers) {
      const outputs = await Promise.all([1, 2, 3].map(async (round) => (await show(`${customer}.${round}`)).output));
      expect(outputs).toMatchObject([
        { from: 0, upTo: 6 },
        { from: 6, upTo: 12 },
        { from: 12, upTo: 18 },
      ]);
    }
    expect(crm.refused).toBe(0);
    expect(crm.calls).toHaveLength(90);
    // 90 calls at 5 per second, with the little that counting in groups costs.
    expect((crm.calls.at(-1) ?? 0) - (crm.calls[0] ?? 0)).toBeLessThan(25_000);
  });

  test("that is cancelled makes room for the customer's next one", async () => {
    const { engine, pass, show } = await office();
    for (const runId of ["a", "b"]) await engine.start(sync, { runId, input: demo("cancelling") });
    await engine.commands.pause("a");
    await pass(60_000);
    expect((await show("b")).waitsForTurn).toEqual({ key: "cancelling", ahead: 0 });
    await engine.commands.cancel("a");
    await pass(10_000);
    expect((await show("b")).status).toBe("succeeded");
  });
});
