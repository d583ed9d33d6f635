// Hunts: an explorer that misses a step which does harm when it runs again, or blames one that does none.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { FatalError, workflow } from "../../lib/index.ts";
import { type ExploreTools, explore, TestError } from "../../lib/testing/index.ts";

const patient = { timeout: 60_000 };

/** Knows keys, and takes the money once for each. */
class Bank {
  readonly payments: { readonly key: string; readonly cents: number }[] = [];

  async charge(cents: number, key: string): Promise<string> {
    const known = this.payments.findIndex((payment) => payment.key === key);
    return `P-${known === -1 ? this.payments.push({ key, cents }) - 1 : known}`;
  }

  async balance(): Promise<number> {
    return this.payments.reduce((sum, { cents }) => sum + cents, 0);
  }
}

/** What a step does with the bank, and its key. */
type Charge = (bank: Bank, key: string) => Promise<unknown>;

function orderWith(bank: Bank, charge: Charge) {
  return workflow("order", {}, (w) => {
    const check = w.step("check", { run: () => 5 });
    const paid = w.step("charge", { after: [check], run: ({ idempotencyKey }) => charge(bank, idempotencyKey) });
    const approval = w.signal("approval", { after: [paid], payload: z.object({ ok: z.boolean() }) });
    return w.step("ship", { after: [approval], run: ({ outputs }) => outputs.approval.ok });
  });
}

const signals = { approval: { ok: true } };
const watched = (charge: Charge) => (t: ExploreTools) => orderWith(t.service("bank", new Bank()), charge);
const known = (charge: Charge) => (t: ExploreTools) =>
  orderWith(t.service("bank", new Bank(), { state: ({ payments }) => payments.length }), charge);
const careful: Charge = (bank, key) => bank.charge(1, key);
let made = 0;
const careless: Charge = async (bank) => {
  await bank.charge(1, `made up ${made++}`);
};

describe("a step that hands its key on", () => {
  test.each([
    ["known", known(careful)],
    ["not known", watched(careful)],
  ])("stands everything, be what the service comes to %s", patient, async (_name, order) => {
    const report = await explore(order, { signals });
    expect(report.problems).toEqual([]);
    expect(report.notIdempotent).toEqual([]);
    expect(report.ranAgain.map(({ step }) => step).sort()).toEqual(["charge", "check", "ship"]);
    expect(report.repeated).toMatchObject([{ effect: "bank.charge", step: "charge", sameKey: true }]);
    expect(report.schedules).toMatchObject({ crash: report.points, pair: 0 });
    expect(report.schedules.lease).toBeGreaterThanOrEqual(4);
    expect(String(report)).toContain("No problems.");
  });
});

describe("a step that makes its key up", () => {
  test("is found by what the service comes to", patient, async () => {
    const report = await explore(known(careless), { signals });
    expect(report.notIdempotent).toEqual(["charge"]);
    expect(report.problems).toEqual([
      expect.stringMatching(
        /^Step "charge" is not idempotent: it can call bank\.charge again without its idempotencyKey, and then "bank" comes to something else \(in \d+ of \d+ schedules, the first: crash before the message step check is acknowledged\)\. Pass it the key/,
      ),
      expect.stringMatching(/^What "bank" has come to differs .*\n +calm: 1\n +then: 2$/s),
    ]);
  });

  test("is found although nobody knows what the service comes to", patient, async () => {
    const report = await explore(watched(careless), { signals });
    expect(report.notIdempotent).toEqual(["charge"]);
    expect(report.problems).toHaveLength(1);
  });

  test("is not blamed for reads, nor for what may be repeated", patient, async () => {
    const reads = await explore(
      (t) => orderWith(t.service("bank", new Bank(), { repeatable: ["balance"] }), (b) => b.balance()),
      {
        signals,
      },
    );
    expect(reads.problems).toEqual([]);
    // A write that sets is as good once as twice: what it comes to says so.
    const sets = await explore(
      (t) => {
        const account = t.service(
          "account",
          {
            status: "",
            async set(to: string) {
              this.status = to;
            },
          },
          { state: ({ status }) => status },
        );
        return orderWith(new Bank(), () => account.set("paid"));
      },
      { signals },
    );
    expect(sets.problems).toEqual([]);
    expect(sets.repeated).toMatchObject([{ effect: "account.set", sameKey: false, harm: false }]);
  });
});

test("what is done late, by a worker whose lease has expired, is found", patient, async () => {
  // Each step sets the status: the write of a worker that stood still comes after that of the next step.
  const report = await explore((t) => {
    const parcel = {
      status: "",
      async set(to: string) {
        this.status = to;
      },
    };
    const service = t.service("parcel", parcel, { state: ({ status }) => status });
    return workflow("parcel", {}, (w) => {
      const pack = w.step("pack", { run: () => service.set("packed") });
      return w.step("send", { after: [pack], run: () => service.set("sent") });
    });
  }, {});
  expect(report.differences).toMatchObject([
    {
      of: "parcel",
      calm: "sent",
      found: "packed",
      schedule: "lease expired before parcel.set is called by pack (attempt 1)",
    },
  ]);
});

test("an outcome that a crash changes is shown with the crash", patient, async () => {
  const once = workflow("once", {}, (w) => w.step("only", { retry: { maxAttempts: 1 }, run: () => 1 }));
  const { differences, problems } = await explore(once, {});
  expect(differences).toMatchObject([
    {
      of: "outcome",
      calm: { status: "succeeded", output: 1 },
      found: { status: "failed", error: expect.stringContaining("WorkerCrashed") },
      schedule: 'crash before the write "only succeeded (attempt 1), run succeeded"',
    },
  ]);
  expect(problems).toHaveLength(1);
});

test("a plain workflow is looked at by its effects, put back before each schedule", patient, async () => {
  const sent: string[] = [];
  const plain = workflow("plain", {}, (w) =>
    w.step("mail", { run: ({ attempt }) => void sent.push(`mail ${attempt}`) }),
  );
  const options = { reset: () => void sent.splice(0), effects: () => sent };
  const { differences } = await explore(plain, options);
  expect(differences).toMatchObject([{ of: "effects", calm: ["mail 1"], found: ["mail 1", "mail 2"] }]);
});

test("questions, callbacks, children, maps and compensations are gone through", patient, async () => {
  const child = workflow("child", { input: z.number() }, (w) => w.step("inner", { run: ({ input }) => input * 2 }));
  const wide = workflow("wide", {}, (w) => {
    const ask = w.step("ask", { run: ({ interrupt }) => interrupt("Who?", z.string()), compensate: () => undefined });
    const call = w.callback("call", { after: [ask], run: () => undefined, output: z.number() });
    const items = w.map("items", { after: [call], items: () => [1, 2], run: ({ item }) => item });
    const sub = w.child("sub", { after: [call], workflow: child, input: ({ outputs }) => outputs.call });
    const sleep = w.sleep("sleep", { after: [items, sub], duration: "3d" });
    return w.step("last", {
      after: [sleep, sub],
      run: () => Promise.reject(new FatalError("no")),
    });
  });
  const report = await explore(wide, { answers: { ask: "Ada" }, callbacks: { call: { succeed: 7 } } });
  expect(report.problems).toEqual([]);
  expect(report.ranAgain.map(({ step }) => step)).toContain("the compensation of ask");
});

test("two crashes are sampled by the seed, and said to be", patient, async () => {
  const report = await explore(known(careful), { signals, crashes: 2, samples: 20, seed: 7 });
  expect(report.problems).toEqual([]);
  expect(report.schedules.pair).toBe(20);
  expect(report.ranAgain.some(({ times }) => times === 3)).toBe(true);
  expect(String(report)).toContain("20 sampled pairs of crashes");
});

test("whoever is waited for must be in the script", async () => {
  await expect(explore(known(careful), {})).rejects.toThrow(
    'The run waits for the signal "approval". Say what it carries: signals: { "approval": payload }.',
  );
});

test("a workflow that differs by itself cannot be compared", async () => {
  let next = 0;
  const random = workflow("random", {}, (w) => w.step("only", { run: () => next++ }));
  await expect(explore(random, {})).rejects.toThrow(TestError);
  expect((await explore(random, { outcome: () => "left out" })).problems).toEqual([]);
});

test("a service whose methods do not wait is cut off, and what it came to is that of a crash", patient, async () => {
  const report = await explore(
    (t) => {
      const log: string[] = [];
      const service = t.service("log", { write: (line: string) => log.push(line) }, { state: () => log });
      return workflow("logging", {}, (w) =>
        w.step("only", { run: ({ idempotencyKey }) => service.write(idempotencyKey) }),
      );
    },
    { outcome: () => "" },
  );
  expect(report.repeated).toMatchObject([{ effect: "log.write", sameKey: true, harm: true }]);
  expect(report.problems[0]).toContain('Let "log" honour the key.');
});
