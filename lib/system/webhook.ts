/**
 * Webhooks after the Standard Webhooks specification. Each delivery is a run: its step posts the signed body, and is tried
 * again over about a day.
 *
 * Invariants:
 * 1. Each event starts one run for each webhook that is told of it, however often the event comes: the run's id follows
 *    from both.
 * 2. Neither secrets, bodies nor addresses are logged or kept in errors: an address may be a secret itself.
 */
import { createHmac } from "node:crypto";
import * as z from "zod";
import { FatalError, RetryableError } from "../definition/errors.ts";
import { limits } from "../definition/limits.ts";
import type { StepContext } from "../definition/step.ts";
import { systemWorkflow, type Workflow } from "../definition/workflow.ts";
import type { RunStatusChange } from "../engine/lifecycle.ts";
import type { Commands } from "../runtime/commands.ts";
import { PawlError } from "../runtime/errors.ts";
import type { Clock, Logger } from "../runtime/ports.ts";
import type { HttpPost, PostAnswer } from "./http-post.ts";
import { webhookName } from "./names.ts";
import { deliveryId, isTold, signingKey, type WebhookOptions } from "./webhooks.ts";

/** What is posted, as JSON. */
export interface WebhookBody {
  readonly type: "run.status_changed";
  /** Of the change: ISO 8601. */
  readonly timestamp: string;
  readonly data: RunStatusChange;
}

interface Delivery {
  readonly webhook: string;
  /** Exactly what is posted and signed. */
  readonly body: string;
}

export interface WebhookParts {
  readonly webhooks: ReadonlyMap<string, WebhookOptions>;
  readonly post: HttpPost;
  readonly clock: Pick<Clock, "now">;
}

const Delivery = z.object({ webhook: z.string(), body: z.string() });

/**
 * 14 attempts, with pauses of up to 10 s, 30 s, 90 s … 6 h: about 20 hours in the middle, 39 at most. A timeout of the run
 * would say the same again, and cost a schedule for each delivery.
 */
const retry = {
  maxAttempts: limits.webhookAttempts,
  backoff: { type: "exponential", base: "10s", factor: 3, max: "6h", jitter: "full" },
} as const;

export function webhookWorkflow(parts: WebhookParts): Workflow {
  return systemWorkflow(webhookName, { input: Delivery }, (w) =>
    w.step("deliver", { retry, timeout: "15s", run: (context) => deliver(parts, context) }),
  );
}

/**
 * Starts what tells the webhooks of the change; when it resolves, they will be told. What is refused once is refused
 * always, and must not hold up what comes after it: it is logged.
 */
export async function tellWebhooks(
  webhooks: ReadonlyMap<string, WebhookOptions>,
  { commands, logger }: { readonly commands: Pick<Commands, "start">; readonly logger: Logger },
  change: RunStatusChange,
): Promise<void> {
  const content: WebhookBody = { type: "run.status_changed", timestamp: change.time, data: change };
  const body = JSON.stringify(content);
  for (const webhook of webhooks.values()) {
    if (!isTold(webhook, change)) continue;
    const input: Delivery = { webhook: webhook.name, body };
    try {
      await commands.start(webhookName, { runId: deliveryId(change, webhook.name), input });
    } catch (error) {
      if (!(error instanceof PawlError) || error.code === "unavailable") throw error;
      logger.error("a webhook could not be told of a status change", {
        error,
        webhook: webhook.name,
        event: change.id,
      });
    }
  }
}

async function deliver(
  { webhooks, post, clock }: WebhookParts,
  { input, runId, signal }: Pick<StepContext<Delivery, object, never>, "input" | "runId" | "signal">,
): Promise<{ readonly status: number }> {
  const webhook = webhooks.get(input.webhook);
  if (webhook === undefined) {
    throw new WebhookRefused(
      `There is no webhook "${input.webhook}" any more. Configure it again, then redrive the run.`,
    );
  }
  const key = await signingKey(webhook);
  const timestamp = String(Math.floor(clock.now() / 1_000));
  const headers = {
    "content-type": "application/json",
    "webhook-id": runId,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${createHmac("sha256", key).update(`${runId}.${timestamp}.${input.body}`).digest("base64")}`,
  };
  const answer = await post({ url: webhook.url, headers, body: input.body, signal }).catch((error: unknown) => {
    throw new WebhookFailed(`Webhook "${webhook.name}" gave no answer: ${reasonOf(error)}.`);
  });
  return judge(webhook.name, answer, clock.now());
}

/** What may go better later is tried again; what tells that it never will ends the delivery. */
function judge(name: string, { status, retryAfter }: PostAnswer, nowMs: number): { readonly status: number } {
  if (status >= 200 && status < 300) return { status };
  const said = `Webhook "${name}" answered ${status}`;
  if (status === 410) {
    throw new WebhookRefused(`${said}: its receiver wants no more of them. Take it out of the configuration.`);
  }
  if (status >= 300 && status < 400) {
    throw new WebhookRefused(`${said}, and redirects are not followed. Configure the address that it leads to.`);
  }
  if (status >= 400 && status < 500 && !passing.includes(status)) {
    throw new WebhookRefused(
      `${said}, which no repetition changes. Mend address, secret or receiver, then redrive the run.`,
    );
  }
  const afterMs = retryAfterMs(retryAfter, nowMs);
  throw new WebhookFailed(`${said}.`, afterMs === undefined ? {} : { after: `${afterMs}ms` });
}

/** Request timeout, too early, too many requests. */
const passing = [408, 425, 429];

/** From seconds or a date, within bounds: a receiver neither hastens us nor puts us off for ever. */
function retryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, limits.webhookRetryLeastMs), limits.webhookRetryMs);
}

/** Names machine and port at most: `fetch failed` says nothing, and its cause has no address. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "the request failed";
  return error.cause instanceof Error ? error.cause.message : error.message;
}

class WebhookRefused extends FatalError {
  override readonly name = "WebhookRefused";
}

class WebhookFailed extends RetryableError {
  override readonly name = "WebhookFailed";
}
