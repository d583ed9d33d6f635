/**
 * A nightly report: asked for at a data warehouse, which takes its time; looked after until it is there; checked and
 * delivered. Between two looks nothing runs. The warehouse is simulated at the end of this file.
 *
 *     npx pawl dev examples/report.ts --demo examples/report.json
 */
import { FatalError, RetryableError, workflow } from "pawl";
import * as z from "zod";

const Request = z.object({
  report: z.enum(["revenue", "returns"]),
  day: z.iso.date(),
  regions: z.array(z.string().min(2)).min(1).max(20),
  recipients: z.array(z.email()).min(1),
  /** How long the simulated warehouse works on it. */
  jobSeconds: z.int().min(0).max(86_400),
});

const Look = z.object({
  state: z.enum(["queued", "running", "done", "rejected"]),
  progress: z.number().min(0).max(1),
  rows: z.int().min(0),
});

export const report = workflow("report", { input: Request, timeout: "12h" }, (w) => {
  const submit = w.step("submit", {
    // The same key asks for the same job: a repeated attempt does not make a second one.
    run: ({ input, idempotencyKey }) => submitJob(input, idempotencyKey),
  });

  const job = w.poll("job", {
    after: [submit],
    output: Look,
    run: ({ input, outputs, attempt, log }) => {
      const look = lookAfterJob(outputs.submit, input, attempt);
      log.info("looked after the job", { state: look.state, percent: Math.round(look.progress * 100) });
      if (look.state === "rejected") throw new FatalError("The warehouse rejected the job.");
      return look;
    },
    until: ({ state }) => state === "done",
    interval: { type: "exponential", base: "2s", factor: 2, max: "5m" },
    timeout: "6h",
    onFailure: "continue",
  });

  const totals = w.step("totals", {
    after: [job],
    onFailure: "continue",
    run: ({ input, outputs }) => {
      const perRegion = Math.floor(outputs.job.rows / input.regions.length);
      return {
        rows: outputs.job.rows,
        byRegion: Object.fromEntries(input.regions.map((region) => [region, perRegion])),
      };
    },
  });

  // The morning must not begin without news, whichever they are.
  return w.step("deliver", {
    afterSettled: [job, totals],
    run: ({ input, outputs, errors }) => {
      const subject = `${input.report} of ${input.day}`;
      const to = input.recipients.join(", ");
      if (outputs.totals === undefined) return { to, subject: `${subject} is missing`, why: errors.job?.message ?? "" };
      return { to, subject, ...outputs.totals };
    },
  });
});

// From here on: the warehouse, simulated. It keeps nothing: all that it knows of a job is in the job's name.

interface Job {
  readonly jobId: string;
  readonly submittedAt: string;
}

function submitJob(request: z.output<typeof Request>, idempotencyKey: string): Job {
  return { jobId: `${request.report}-${request.day}-${idempotencyKey}`, submittedAt: new Date(now()).toISOString() };
}

function lookAfterJob(job: Job, request: z.output<typeof Request>, attempt: number): z.output<typeof Look> {
  if (Date.parse(request.day) > now()) return { state: "rejected", progress: 0, rows: 0 };
  // One look in five meets a warehouse that is busy.
  if (attempt % 5 === 2) throw new RetryableError("warehouse.example answers 503");
  const seconds = (now() - Date.parse(job.submittedAt)) / 1_000;
  const progress = request.jobSeconds === 0 ? 1 : Math.min(1, seconds / request.jobSeconds);
  const state = progress === 1 ? "done" : progress === 0 ? "queued" : "running";
  return { state, progress, rows: Math.floor(progress * 1_200 * request.regions.length) };
}

/** Tests bring their own time. */
export const warehouse = { now: (): number => Date.now() };

function now(): number {
  return warehouse.now();
}
