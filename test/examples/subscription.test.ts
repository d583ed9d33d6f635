// Hunts: tools for tests that do not find what is wrong with a workflow, and pages that show tests which do not pass.
import { FatalError } from "pawl";
import { createTestEngine, explore, formatHistory, verifyIdempotent } from "pawl/testing";
import { describe, expect, test } from "vitest";
import { type Bank, type Services, subscription, subscriptionWith } from "../../examples/subscription.ts";

const ada = { customerId: "C-4711", email: "ada@example.com" };

test("a trial of thirty days", async () => {
  await using engine = await createTestEngine({ workflows: [subscription] });
  const run = await engine.start(subscription, { input: ada });

  await engine.advance("29d");
  expect((await run.show()).steps.plan).toMatchObject({ status: "waiting", waitsUntil: "2026-01-31T00:00:00.000Z" });
  expect(await run.calls("charge")).toEqual([]);

  expect(await run.output()).toMatchObject({ plan: "monthly" });
  expect(engine.now()).toEqual(new Date("2026-01-31T00:00:00Z"));
});

test("whoever chooses a plan begins at once", async () => {
  await using engine = await createTestEngine({ workflows: [subscription] });
  const run = await engine.start(subscription, { input: ada });
  await run.signal("plan", "yearly");
  expect(await run.output()).toMatchObject({ plan: "yearly" });
  const [charged] = await run.calls("charge");
  expect(charged?.outputs.plan).toBe("yearly");
});

test("a bank that is down for a while", async () => {
  await using engine = await createTestEngine({
    workflows: [subscription],
    mock: { subscription: { charge: { fails: new Error("The bank answers 503"), times: 2 } } },
  });
  const run = await engine.start(subscription, { input: ada });
  await run.signal("plan", "monthly");
  await run.toEnd();
  expect((await run.history()).filter((entry) => "step" in entry && entry.step === "charge")).toMatchObject([
    { status: "running", attempt: 1 },
    { status: "backing_off", attempt: 1, error: { message: "The bank answers 503" } },
    { status: "running", attempt: 2 },
    { status: "backing_off", attempt: 2 },
    { status: "running", attempt: 3 },
    { status: "succeeded", attempt: 3 },
  ]);
});

test("an account that cannot be opened gives the money back", async () => {
  await using engine = await createTestEngine({
    workflows: [subscription],
    mock: {
      subscription: {
        charge: { run: { returns: { paymentId: "P-1" }, takes: "3s" }, compensate: () => "refunded" },
        activate: { fails: new FatalError("The account is locked") },
      },
    },
  });
  const run = await engine.start(subscription, { input: ada });
  await run.signal("plan", "monthly");
  await run.toEnd();
  expect(formatHistory(await run.history())).toMatchInlineSnapshot(`
    "+0s  run running
    +0s  welcome running (attempt 1)
    +0s  welcome succeeded (attempt 1)
    +0s  plan running (attempt 1)
    +0s  plan waiting (attempt 1) for a signal until +30d
    +0s  plan succeeded (attempt 1)
    +0s  charge running (attempt 1)
    +3s  charge succeeded (attempt 1)
    +3s  activate running (attempt 1)
    +3s  activate failed (attempt 1): FatalError: The account is locked
    +3s  run unwinding: FatalError: The account is locked (step activate)
    +3s  undo of charge running (attempt 1)
    +3s  undo of charge succeeded (attempt 1)
    +3s  run failed: FatalError: The account is locked (step activate)"
  `);
  expect(await run.calls("charge", "compensate")).toMatchObject([{ returned: "refunded" }]);
});

/** What the tests put in the place of the outside world. */
class FakeBank implements Bank {
  readonly payments = new Map<string, number>();

  async charge({ cents, idempotencyKey }: Parameters<Bank["charge"]>[0]) {
    this.payments.set(idempotencyKey, cents);
    return { paymentId: `P-${[...this.payments.keys()].indexOf(idempotencyKey)}` };
  }

  async refund() {}
}

const services = (bank: Bank): Services => ({
  bank,
  mailer: { send: async () => undefined },
  accounts: { open: async () => undefined },
});

const stateOfBank = { state: (bank: FakeBank) => [...bank.payments.values()] };

test("it stands a crash at every point", async () => {
  const report = await explore(
    (t) => {
      const { mailer, accounts } = services(new FakeBank());
      return subscriptionWith({
        bank: t.service("bank", new FakeBank(), stateOfBank),
        mailer: t.service("mailer", mailer),
        accounts: t.service("accounts", accounts, { repeatable: ["open"] }),
      });
    },
    { input: ada, signals: { plan: "yearly" } },
  );
  expect(report.problems).toEqual([]);
});

test("the charge is idempotent", async () => {
  await verifyIdempotent((t) => subscriptionWith(services(t.service("bank", new FakeBank(), stateOfBank))), "charge", {
    input: ada,
    outputs: { plan: "yearly" },
  });
});

describe("a charge whose key is another one each time", () => {
  let made = 0;
  /** The bug: a key that is made up on the spot tells the bank nothing. */
  const careless = (bank: FakeBank): Bank => ({
    charge: (payment) => bank.charge({ ...payment, idempotencyKey: `key-${made++}` }),
    refund: () => bank.refund(),
  });

  test("is found by explore", async () => {
    const report = await explore(
      (t) => subscriptionWith(services(careless(t.service("bank", new FakeBank(), stateOfBank)))),
      { input: ada, signals: { plan: "yearly" } },
    );
    expect(report.notIdempotent).toEqual(["charge"]);
    expect(report.problems[0]).toMatch(/^Step "charge" is not idempotent: it can call bank.charge again without/);
  });

  test("is found by verifyIdempotent", async () => {
    const verified = verifyIdempotent(
      (t) => subscriptionWith(services(careless(t.service("bank", new FakeBank(), stateOfBank)))),
      "charge",
      { input: ada, outputs: { plan: "yearly" } },
    );
    await expect(verified).rejects.toThrow("bank: once [9000], twice [9000,9000]");
  });
});
