// Hunts: a loan that is paid without a decision, against one, twice, or not at all; in virtual time, on the example as it is.
import { readFileSync } from "node:fs";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type * as example from "../../examples/loan.ts";
import type { InputOf, RunView } from "../../lib/index.ts";
import { type Harness, harness, statuses, virtualClock } from "../behaviour/harness.ts";

type LoanWorkflow = typeof example.loan;
type Application = InputOf<LoanWorkflow>;

const day = 86_400_000;
let loan: LoanWorkflow;

beforeAll(async () => {
  vi.stubEnv("LOAN_PACE", "0");
  ({ loan } = await import("../../examples/loan.ts"));
});

beforeEach(() => void vi.stubEnv("LOAN_BANK", ""));

function demo(): Application {
  return JSON.parse(readFileSync(new URL("../../examples/loan.json", import.meta.url), "utf8")) as Application;
}

/** Three months before the first instalment of the demo. */
function november(): Promise<Harness> {
  return harness([loan], { clock: virtualClock(Date.parse("2026-11-02T09:00:00Z")) });
}

/** The demo application, when its checks are over and somebody has to decide. */
async function undecided(): Promise<Harness & { readonly runId: string }> {
  const engine = await november();
  const { runId, steps } = await engine.run(loan, demo(), 60_000);
  expect(steps.approval).toMatchObject({ status: "waiting" });
  return { ...engine, runId };
}

const approved = { approved: true, by: "R. Silva" };
const paid = { applicationId: "L-3307", instalmentCents: 35_558, totalCents: 2_133_480, paid: "18000.00 EUR to DE89…" };
const reminder = { to: "grace.okafor@example.com", subject: "355.58 EUR are due on 2027-02-01" };
const refusal = { to: "grace.okafor@example.com", subject: "We cannot grant your loan" };

describe("an application that a person has to decide on", () => {
  test("approved while the checks still run: paid at once, reminded three days before the first instalment", async () => {
    const { run, engine, pass, show } = await november();
    const { runId, steps } = await run(loan, demo(), 500);
    expect(steps["credit-report"]?.status).toBe("backing_off");
    await engine.commands.signal(runId, "approval", approved);
    await pass(60_000);
    const sleeping = await show(runId);
    expect(sleeping.steps["quiet-time"]).toMatchObject({ status: "waiting", waitsUntil: "2027-01-29T00:00:00.000Z" });
    expect(sleeping.steps["pay-out"]?.status).toBe("succeeded");
    await pass(Date.parse("2027-01-28T23:59:59Z") - Date.parse("2026-11-02T09:01:00.500Z"));
    expect((await show(runId)).steps.remind?.status).toBe("pending");
    await pass(1_500);
    const ended = await show(runId);
    expect(ended).toMatchObject({ status: "succeeded", output: { ...paid, ...approved, mailed: reminder } });
    expect(statuses(ended)).toMatchObject({ escalate: "skipped", "manager-approval": "skipped", refuse: "skipped" });
  });

  test("approved in the last moment", async () => {
    const { engine, pass, show, runId } = await undecided();
    const until = Date.parse((await show(runId)).steps.approval?.waitsUntil ?? "");
    await pass(until - Date.parse("2026-11-02T09:01:00Z") - 1);
    await engine.commands.signal(runId, "approval", approved);
    await pass(1_000);
    expect(statuses(await show(runId))).toMatchObject({ escalate: "skipped", "pay-out": "succeeded" });
  });

  test("approved too late: that word no longer counts, the manager's does", async () => {
    const { engine, pass, show, runId } = await undecided();
    await pass(3 * day);
    const escalated = await show(runId);
    expect(statuses(escalated)).toMatchObject({ approval: "skipped", "manager-approval": "waiting" });
    expect(escalated.steps.escalate?.output).toMatchObject({ subject: "L-3307 waits for you" });
    await expect(engine.commands.signal(runId, "approval", approved)).rejects.toMatchObject({
      code: "signal_conflict",
    });
    await engine.commands.signal(runId, "manager-approval", { ...approved, by: "T. Lindqvist" });
    await pass(120 * day);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: { ...paid, by: "T. Lindqvist" } });
  });

  test("refused: a letter and no money, and nothing is waited for", async () => {
    const { engine, pass, show, runId } = await undecided();
    await engine.commands.signal(runId, "approval", { approved: false, by: "R. Silva", note: "Income not shown" });
    await pass(0);
    expect(await show(runId)).toMatchObject({
      status: "succeeded",
      output: {
        applicationId: "L-3307",
        approved: false,
        by: "R. Silva",
        note: "Income not shown",
        mailed: refusal,
      },
      steps: {
        "pay-out": { status: "skipped" },
        "quiet-time": { status: "skipped" },
        remind: { status: "skipped" },
      },
    });
  });

  test("nobody answers: refused after a week", async () => {
    const { pass, show, runId } = await undecided();
    await pass(7 * day - 60_000);
    expect((await show(runId)).status).toBe("running");
    await pass(60_000);
    const ended = await show(runId);
    expect(ended).toMatchObject({ status: "succeeded", output: { approved: false, by: "nobody", mailed: refusal } });
    expect(statuses(ended)).toMatchObject({
      approval: "skipped",
      "manager-approval": "succeeded",
      "pay-out": "skipped",
    });
  });

  test("a decision that is none is not taken, and the run waits on", async () => {
    const { engine, show, runId } = await undecided();
    for (const payload of [undefined, true, { approved: "yes", by: "R. Silva" }, { approved: true, by: "" }]) {
      await expect(engine.commands.signal(runId, "approval", payload)).rejects.toMatchObject({
        code: "invalid_payload",
      });
    }
    expect((await show(runId)).steps.approval?.status).toBe("waiting");
  });

  test("withdrawn while it waits: no money, no letter, no word counts any more", async () => {
    const { engine, pass, show, runId } = await undecided();
    await engine.commands.cancel(runId);
    await expect(engine.commands.signal(runId, "approval", approved)).rejects.toMatchObject({
      code: "status_conflict",
    });
    await pass(30 * day);
    const ended = await show(runId);
    expect(ended.status).toBe("cancelled");
    expect(statuses(ended)).toMatchObject({ approval: "cancelled", decide: "pending", "pay-out": "pending" });
  });

  test("the bank is closed: failed, and after a redrive paid once, without asking anybody again", async () => {
    const { engine, pass, show, runId } = await undecided();
    vi.stubEnv("LOAN_BANK", "closed");
    await engine.commands.signal(runId, "approval", approved);
    await pass(60_000);
    const failed = await show(runId);
    expect(failed).toMatchObject({ status: "failed", error: { message: "The bank answers 503", step: "pay-out" } });
    expect(failed.steps["pay-out"]?.attempt).toBe(3);
    vi.stubEnv("LOAN_BANK", "");
    await engine.commands.redrive(runId);
    await pass(120 * day);
    const ended = await show(runId);
    expect(ended).toMatchObject({ status: "succeeded", output: { ...paid, ...approved, mailed: reminder } });
    for (const id of ["quote", "identity", "credit-report", "assess", "approval", "decide"]) {
      expect(ended.steps[id], id).toEqual(failed.steps[id]);
    }
  });
});

describe("an application whose bank is closed", () => {
  test("paid in cash: the pay-out is ended by hand, and forked from the wait on", async () => {
    const { engine, pass, show, runId } = await undecided();
    vi.stubEnv("LOAN_BANK", "closed");
    await engine.commands.signal(runId, "approval", approved);
    await pass(60_000);
    const { decide } = (await show(runId)).steps;
    const cash = { transferId: "cash", paid: "5000.00 EUR" };
    await engine.commands.redrive(runId, { set: { "pay-out": cash }, by: "ada", reason: "paid in cash" });
    await engine.commands.fork(runId, { from: "quiet-time", runId: "forked" });
    await pass(120 * day);
    for (const id of [runId, "forked"]) {
      const ended = await show(id);
      expect(ended).toMatchObject({ status: "succeeded", output: { ...cash, ...approved, mailed: reminder } });
      expect(ended.steps["pay-out"]?.byHand).toMatchObject({ by: "ada", reason: "paid in cash" });
      expect(ended.steps.decide).toEqual(decide);
    }
  });
});

test("a large loan is paid when a second person releases it: not before, and not by the one who decided", async () => {
  const { run, engine, pass, show } = await november();
  const { runId } = await run(loan, { ...demo(), amountCents: 2_500_000, months: 84 }, 60_000);
  await engine.commands.signal(runId, "approval", approved);
  await pass(0);
  const open = async () => (await show(runId)).steps["pay-out"];
  expect(await open()).toMatchObject({
    status: "waiting",
    waitsFor: "answer",
    attempt: 0,
    interrupt: { payload: { question: "Who releases this payment?", amountCents: 2_500_000 } },
  });
  const release = async (releasedBy: unknown): Promise<void> => {
    await engine.commands.answer(runId, (await open())?.interrupt?.id ?? "", { releasedBy });
    await pass(0);
  };
  await expect(release(5)).rejects.toMatchObject({ code: "invalid_payload" });
  await release("R. Silva");
  expect(await open()).toMatchObject({
    status: "waiting",
    interrupt: { rejected: expect.stringContaining("must be somebody else than R. Silva, who has decided") as unknown },
  });
  await pass(10 * day);
  expect(await open()).not.toHaveProperty("output");
  await release("T. Lindqvist");
  expect(await open()).toMatchObject({ status: "succeeded", attempt: 1, output: { releasedBy: "T. Lindqvist" } });
  await pass(120 * day);
  expect(await show(runId)).toMatchObject({
    status: "succeeded",
    output: { by: "R. Silva", releasedBy: "T. Lindqvist", paid: "25000.00 EUR to DE89…" },
  });
});

describe("an application that the rules decide on", () => {
  async function decided(
    change: Partial<Application>,
    applicant: Partial<Application["applicant"]> = {},
  ): Promise<RunView> {
    const { run } = await november();
    const input = demo();
    return run(loan, { ...input, ...change, applicant: { ...input.applicant, ...applicant } }, 89 * day);
  }

  test("a small loan that is easily borne is granted", async () => {
    const ended = await decided({ amountCents: 300_000, months: 24 });
    expect(ended).toMatchObject({
      status: "succeeded",
      output: { approved: true, by: "the rules", instalmentCents: 13_419, totalCents: 322_056 },
      steps: { approval: { status: "skipped" }, escalate: { status: "skipped" } },
    });
  });

  test.each<[why: string, applicant: Partial<Application["applicant"]>]>([
    ["no identity", { iban: "XX12345678901234" }],
    ["five open loans", { openLoans: 5 }],
    ["costs above the income", { monthlyCostsCents: 400_000 }],
  ])("%s: refused without asking anybody", async (_why, applicant) => {
    const ended = await decided({}, applicant);
    expect(ended).toMatchObject({ status: "succeeded", output: { approved: false, mailed: refusal } });
    expect(statuses(ended)).toMatchObject({ approval: "skipped", "pay-out": "skipped" });
  });
});

test("applications that make no sense are not taken", async () => {
  const { engine } = await november();
  const good = demo();
  const bad: Record<string, unknown> = {
    "nothing at all": undefined,
    "no amount": { ...good, amountCents: 0 },
    "half a cent": { ...good, amountCents: 100_000.5 },
    "for ever": { ...good, months: 1_000 },
    "no such day": { ...good, firstInstalmentOn: "2027-02-30" },
    "an account in words": { ...good, applicant: { ...good.applicant, iban: "my account" } },
  };
  for (const [what, input] of Object.entries(bad)) {
    await expect(engine.commands.start("loan", { input }), what).rejects.toMatchObject({ code: "invalid_input" });
  }
});
