/**
 * A newcomer's way into a company: documents that are asked for and reminded of every three days, an identity check by
 * an outside service, and a welcome on the first day. A run takes weeks, and nothing runs while it waits. Everything
 * outside is simulated at the end of this file.
 *
 *     npx pawl dev examples/onboarding.ts --demo examples/onboarding.json
 */
import { createHash } from "node:crypto";
import { appendFile } from "node:fs/promises";
import { FatalError, workflow } from "pawl";
import * as z from "zod";

const Newcomer = z.object({
  employeeId: z.string().regex(/^E-\d+$/, "must be E, a dash and digits"),
  name: z.string().min(1),
  email: z.email(),
  team: z.string().min(1),
  firstDay: z.iso.date(),
  /** When the simulated newcomer uploads the documents; never, when it is left out. */
  uploadsAfterHours: z.number().min(0).optional(),
});

/** What the identity service answers. */
const Identity = z.object({ reference: z.string().min(1), matches: z.boolean() });

const remindEveryDays = 3;

export const onboarding = workflow("onboarding", { input: Newcomer, timeout: "120d" }, (w) => {
  const invite = w.step("invite", {
    run: ({ input }) => ({ ...mail(input.email, "Welcome! Please upload your documents"), at: now() }),
  });

  // One look a day, the first at once; each third day without documents brings a reminder.
  const documents = w.poll("documents", {
    after: [invite],
    run: ({ input, outputs, attempt, log }) => {
      const days = attempt - 1;
      const isComplete = hasUploaded(outputs.invite.at, input.uploadsAfterHours);
      if (!isComplete && days > 0 && days % remindEveryDays === 0) {
        mail(input.email, "We still miss your documents");
        log.info("reminded", { employeeId: input.employeeId, days });
      }
      return { isComplete, reminders: Math.floor((isComplete ? Math.max(0, days - 1) : days) / remindEveryDays) };
    },
    until: ({ isComplete }) => isComplete,
    interval: { type: "fixed", base: "1d" },
    timeout: "21d",
    onFailure: "continue",
  });

  const identity = w.callback("identity", {
    after: [documents],
    output: Identity,
    // The service takes its time, and answers by the token: POST /callbacks/<token>/succeed.
    run: ({ input, idempotencyKey, token }) =>
      requestIdentityCheck({ checkId: idFrom("I", idempotencyKey), name: input.name, token }),
    timeout: "5d",
    heartbeatTimeout: "1d",
    retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1h" } },
    onFailure: "continue",
  });

  const account = w.step("account", {
    after: [identity],
    onFailure: "continue",
    run: ({ input, outputs, idempotencyKey }) => {
      if (!outputs.identity.matches) throw new FatalError(`The identity of ${input.employeeId} does not match.`);
      return { login: input.email.split("@")[0], accountId: idFrom("A", idempotencyKey) };
    },
  });

  const firstDay = w.sleep("first-day", {
    after: [account],
    until: ({ input }) => `${input.firstDay}T07:00:00Z`,
    onFailure: "continue",
  });

  const welcome = w.step("welcome", {
    after: [account, firstDay],
    onFailure: "continue",
    run: ({ input }) => mail(input.email, `Your team ${input.team} awaits you at nine`),
  });

  return w.step("close", {
    afterSettled: [documents, identity, account, welcome],
    run: ({ input, outputs, errors }) => {
      const { employeeId } = input;
      const reminders = outputs.documents?.reminders;
      if (outputs.welcome !== undefined) return { employeeId, hired: true, ...outputs.account, reminders };
      // Whichever came first; what follows from it says no more.
      const why = errors.documents ?? errors.identity ?? errors.account;
      return { employeeId, hired: false, why: why?.name, ...mail("people@company.example", `${employeeId} is stuck`) };
    },
  });
});

// From here on: the outside world, simulated.

/** Tests bring their own time, mailbox and identity service. */
export const world = {
  now: (): number => Date.now(),
  sent: [] as string[],
  /** Requests for checks lie in a file, as on the desk of a service that works through them by hand. */
  receive: (request: CheckRequest): Promise<void> =>
    appendFile(process.env.ONBOARDING_DESK ?? ".pawl/identity-checks.jsonl", `${JSON.stringify(request)}\n`),
};

interface CheckRequest {
  readonly checkId: string;
  readonly name: string;
  /** Whoever has it may answer for the service: over the wire only, and never into a log. */
  readonly token: string;
}

async function requestIdentityCheck(request: CheckRequest): Promise<void> {
  await world.receive(request);
}

function hasUploaded(invitedAtMs: number, afterHours: number | undefined): boolean {
  return afterHours !== undefined && now() >= invitedAtMs + afterHours * 3_600_000;
}

function mail(to: string, subject: string): { to: string; subject: string } {
  world.sent.push(`${to}: ${subject}`);
  return { to, subject };
}

/** The same key gives the same id: asking twice makes nothing twice. */
function idFrom(prefix: string, idempotencyKey: string): string {
  return `${prefix}-${createHash("sha256").update(idempotencyKey).digest("hex").slice(0, 10)}`;
}

function now(): number {
  return world.now();
}
