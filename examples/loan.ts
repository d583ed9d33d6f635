/**
 * A loan: checked in parallel, decided on by a person where the rules do not suffice, paid out (large ones when a second
 * person has released the money), and followed by a reminder before the first instalment. A run takes weeks, and nothing runs while it waits. The services that it calls
 * are simulated at the end of this file.
 *
 *     npx pawl dev examples/loan.ts --demo examples/loan.json
 */
import { createHash } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { RetryableError, workflow } from "pawl";
import * as z from "zod";

const Cents = z.int().min(0).max(100_000_000);

const Application = z.object({
  applicationId: z.string().regex(/^L-\d+$/, "must be L, a dash and digits"),
  applicant: z.object({
    name: z.string().min(1),
    email: z.email(),
    iban: z.string().regex(/^[A-Z]{2}\d{2}[A-Z0-9]{10,30}$/, "must be an IBAN without spaces"),
    monthlyIncomeCents: Cents,
    monthlyCostsCents: Cents,
    openLoans: z.int().min(0).max(50),
  }),
  amountCents: Cents.min(50_000),
  months: z.int().min(6).max(120),
  firstInstalmentOn: z.iso.date(),
});

/** What the signals carry. */
const Decision = z.object({ approved: z.boolean(), by: z.string().min(1), note: z.string().max(500).optional() });

export const loan = workflow("loan", { input: Application, timeout: "180d" }, (w) => {
  const quote = w.step("quote", {
    output: z.object({ instalmentCents: Cents, totalCents: Cents }),
    run: ({ input }) => quoteFor(input.amountCents, input.months),
  });

  const identity = w.step("identity", {
    run: ({ input, signal }) => verifyIdentity(input.applicant.iban, signal),
  });

  const creditReport = w.step("credit-report", {
    timeout: "20s",
    retry: { maxAttempts: 5, backoff: { type: "exponential", base: "2s", max: "1m" } },
    run: ({ input, attempt, signal }) => askBureau(input.applicant.openLoans, attempt, signal),
  });

  const affordability = w.step("affordability", {
    after: [quote],
    run: ({ input, outputs }) => {
      const freeCents = input.applicant.monthlyIncomeCents - input.applicant.monthlyCostsCents;
      const percent = freeCents <= 0 ? 100 : Math.ceil((100 * outputs.quote.instalmentCents) / freeCents);
      return { percentOfFreeIncome: Math.min(100, percent) };
    },
  });

  const assess = w.step("assess", {
    after: [identity, creditReport, affordability],
    run: ({ input, outputs, log }) => {
      const { score } = outputs["credit-report"];
      const { percentOfFreeIncome } = outputs.affordability;
      const verdict = assessed(input.amountCents, outputs.identity.isVerified, score, percentOfFreeIncome);
      log.info("assessed", { applicationId: input.applicationId, verdict, score, percentOfFreeIncome });
      return { verdict };
    },
  });

  // Sent as a signal by whoever decides. Without an answer the step is skipped, and the next person is asked.
  const approval = w.signal("approval", {
    after: [assess],
    when: ({ outputs }) => outputs.assess.verdict === "ask",
    payload: Decision,
    timeout: "3d",
    onTimeout: "skip",
  });

  const escalate = w.step("escalate", {
    after: [assess, approval],
    when: ({ outputs }) => outputs.assess.verdict === "ask" && outputs.approval === undefined,
    run: ({ input, signal }) =>
      sendMail("credit-managers@bank.example", `${input.applicationId} waits for you`, signal),
  });

  const managerApproval = w.signal("manager-approval", {
    after: [escalate],
    skipWithDependency: true,
    payload: Decision,
    timeout: "4d",
    onTimeout: { value: { approved: false, by: "nobody", note: "No decision within a week" } },
  });

  const decide = w.step("decide", {
    after: [assess, approval, managerApproval],
    run: ({ outputs }): z.output<typeof Decision> =>
      outputs.approval ??
      outputs["manager-approval"] ?? { approved: outputs.assess.verdict === "grant", by: "the rules" },
  });

  const refuse = w.step("refuse", {
    after: [decide],
    when: ({ outputs }) => !outputs.decide.approved,
    run: ({ input, signal }) => sendMail(input.applicant.email, "We cannot grant your loan", signal),
  });

  const payOut = w.step("pay-out", {
    after: [decide],
    when: ({ outputs }) => outputs.decide.approved,
    timeout: "30s",
    retry: { maxAttempts: 3, backoff: { type: "fixed", base: "5s" } },
    run: async ({ input, outputs, idempotencyKey, interrupt, signal }) => {
      const { amountCents } = input;
      const { iban } = input.applicant;
      // Four eyes: whoever has decided cannot release the money as well.
      const Release = z
        .object({ releasedBy: z.string().min(1) })
        .refine(({ releasedBy }) => releasedBy !== outputs.decide.by, {
          message: `must be somebody else than ${outputs.decide.by}, who has decided`,
          path: ["releasedBy"],
        });
      const question = { question: "Who releases this payment?", iban, amountCents };
      const release = amountCents > releasedByHandCents ? await interrupt(question, Release) : {};
      // The bank knows the key: however often it is asked, also after a redrive, the loan is paid once.
      return { ...release, ...(await transfer({ iban, amountCents, idempotencyKey }, signal)) };
    },
  });

  const quietTime = w.sleep("quiet-time", {
    after: [payOut],
    skipWithDependency: true,
    until: ({ input }) => new Date(Date.parse(input.firstInstalmentOn) - 3 * 86_400_000),
  });

  const remind = w.step("remind", {
    after: [quote, quietTime],
    skipWithDependency: true,
    run: ({ input, outputs, signal }) => {
      const due = `${(outputs.quote.instalmentCents / 100).toFixed(2)} EUR are due on ${input.firstInstalmentOn}`;
      return sendMail(input.applicant.email, due, signal);
    },
  });

  return w.step("close", {
    after: [quote, decide, payOut, remind, refuse],
    run: ({ input, outputs }) => ({
      applicationId: input.applicationId,
      ...outputs.decide,
      ...(outputs["pay-out"] === undefined ? {} : { ...outputs.quote, ...outputs["pay-out"] }),
      mailed: outputs.remind ?? outputs.refuse,
    }),
  });
});

const yearlyRate = 0.069;

/** A person releases payments above this. */
const releasedByHandCents = 2_000_000;

/** Equal instalments, each rounded up to the cent. */
function quoteFor(amountCents: number, months: number): { instalmentCents: number; totalCents: number } {
  const rate = yearlyRate / 12;
  const instalmentCents = Math.ceil((amountCents * rate) / (1 - (1 + rate) ** -months));
  return { instalmentCents, totalCents: instalmentCents * months };
}

function assessed(
  amountCents: number,
  isVerified: boolean,
  score: number,
  percentOfFreeIncome: number,
): "grant" | "ask" | "refuse" {
  if (!isVerified || score < 500 || percentOfFreeIncome > 60) return "refuse";
  return amountCents <= 500_000 && score >= 800 && percentOfFreeIncome <= 25 ? "grant" : "ask";
}

// From here on: the outside world, simulated. Each service takes its time, and stops when its caller is aborted.

/** Multiplies the time that services take; tests have none. */
const pace = Number(process.env.LOAN_PACE ?? 1);

async function work(ms: number, signal: AbortSignal): Promise<void> {
  if (pace > 0) await setTimeout(ms * pace, undefined, { signal });
}

/** The same key gives the same id: asking twice makes nothing twice. */
function idFrom(prefix: string, idempotencyKey: string): string {
  return `${prefix}-${createHash("sha256").update(idempotencyKey).digest("hex").slice(0, 10)}`;
}

async function verifyIdentity(iban: string, signal: AbortSignal): Promise<{ isVerified: boolean }> {
  await work(900, signal);
  return { isVerified: ["DE", "FR", "NL"].includes(iban.slice(0, 2)) };
}

/** Busy at the first attempt. */
async function askBureau(openLoans: number, attempt: number, signal: AbortSignal): Promise<{ score: number }> {
  await work(1_200, signal);
  if (attempt === 1) throw new RetryableError("The credit bureau is busy", { after: "1s" });
  return { score: Math.max(0, 950 - 90 * openLoans) };
}

async function sendMail(to: string, subject: string, signal: AbortSignal): Promise<{ to: string; subject: string }> {
  await work(300, signal);
  return { to, subject };
}

interface Transfer {
  readonly iban: string;
  readonly amountCents: number;
  readonly idempotencyKey: string;
}

/** `LOAN_BANK=closed` makes it fail. */
async function transfer({ iban, amountCents, idempotencyKey }: Transfer, signal: AbortSignal) {
  await work(800, signal);
  if (process.env.LOAN_BANK === "closed") throw new Error("The bank answers 503");
  const paid = `${(amountCents / 100).toFixed(2)} EUR to ${iban.slice(0, 4)}…`;
  return { transferId: idFrom("T", idempotencyKey), paid };
}
