/** Webhooks as users configure them, and which status changes each of them is told. */
import { createHash } from "node:crypto";
import { isName, isSystemName, nameForm } from "../definition/option-checks.ts";
import type { LifecycleEvent } from "../engine/lifecycle.ts";
import { type RunStatus, runStatuses } from "../engine/run-state.ts";

export interface WebhookOptions {
  /** Tells it from the others, also after its address has changed. */
  readonly name: string;
  /** Where status changes are posted to: https, or http for a server of your own network. */
  readonly url: string;
  /**
   * What bodies are signed with: `whsec_` and Base64, or any text of 16 characters or more; or what gets it, called for
   * each delivery.
   */
  readonly secret: string | (() => string | Promise<string>);
  /** Only changes to one of these. @default all */
  readonly statuses?: readonly RunStatus[];
  /** Only runs of these workflows, by name. @default all but Pawl's own */
  readonly workflows?: readonly string[];
}

/** @throws {TypeError} naming all that is wrong */
export function checkWebhooks(webhooks: readonly WebhookOptions[]): ReadonlyMap<string, WebhookOptions> {
  const faults: string[] = [];
  const byName = new Map<string, WebhookOptions>();
  webhooks.forEach((webhook, at) => {
    const { name } = webhook;
    if (!isName(name)) faults.push(`webhooks[${at}]: name is ${JSON.stringify(name)}; allowed is ${nameForm}.`);
    else if (byName.has(name)) faults.push(`webhooks[${at}]: "${name}" is the name of another one; names must differ.`);
    faults.push(...faultsOf(webhook).map((fault) => `webhook ${JSON.stringify(name)}: ${fault}`));
    byName.set(name, webhook);
  });
  if (faults.length > 0) throw new TypeError(`The webhooks are not configured well:\n- ${faults.join("\n- ")}`);
  return byName;
}

function faultsOf({ url, secret, statuses = [], workflows = [] }: WebhookOptions): string[] {
  const faults: string[] = [];
  const { protocol, username, password } = URL.parse(url) ?? { protocol: "", username: "", password: "" };
  if (!["https:", "http:"].includes(protocol)) faults.push("url is no address that begins with https:// or http://.");
  if (username !== "" || password !== "") {
    faults.push("url has a user name or password in it; receivers know Pawl by its signature, so leave it out.");
  }
  if (typeof secret !== "function") {
    const fault = faultOfSecret(secret);
    if (fault !== undefined) faults.push(fault);
  }
  const unknown = statuses.filter((status) => !runStatuses.includes(status));
  if (unknown.length > 0) faults.push(`statuses has ${unknown.join(", ")}; allowed are ${runStatuses.join(", ")}.`);
  const ours = workflows.filter(isSystemName);
  if (ours.length > 0) faults.push(`workflows has ${ours.join(", ")}, Pawl's own: no webhook is told of their runs.`);
  return faults;
}

const secretPrefix = "whsec_";
const secretLeast = 16;

/** Says nothing of the secret itself: what is wrong with it is logged. */
function faultOfSecret(secret: unknown): string | undefined {
  if (typeof secret !== "string") return "secret is no text; give it one, or a function that gives it.";
  if (secret.startsWith(secretPrefix)) {
    const coded = secret.slice(secretPrefix.length);
    if (/^[A-Za-z0-9+/]+={0,2}$/.test(coded) && Buffer.from(coded, "base64").length >= secretLeast) return undefined;
    return `secret begins with ${secretPrefix} and does not go on with ${secretLeast} bytes or more in Base64.`;
  }
  return secret.length < secretLeast ? `secret has less than ${secretLeast} characters; take a longer one.` : undefined;
}

/** The key that bodies are signed with. @throws {Error} when there is no secret that can be used */
export async function signingKey({ name, secret }: WebhookOptions): Promise<Buffer> {
  const text = typeof secret === "function" ? await secret() : secret;
  const fault = faultOfSecret(text);
  if (fault !== undefined) throw new Error(`Webhook "${name}": its ${fault}`);
  return text.startsWith(secretPrefix)
    ? Buffer.from(text.slice(secretPrefix.length), "base64")
    : Buffer.from(text, "utf8");
}

/** Pawl's own runs are told to nobody: each delivery is one, and would cause the next. */
export function isTold({ statuses, workflows }: WebhookOptions, { status, workflow }: LifecycleEvent): boolean {
  if (isSystemName(workflow)) return false;
  return (statuses?.includes(status) ?? true) && (workflows?.includes(workflow) ?? true);
}

/**
 * Of the run that delivers this event to this webhook, and the id under which the receiver sees it: the same however often
 * the event comes. It has no dot, which separates the signed parts.
 */
export function deliveryId(event: Pick<LifecycleEvent, "id">, webhook: string): string {
  const hash = createHash("sha256").update(`${event.id}\n${webhook}`).digest("base64url");
  return `hook-${hash.slice(0, 32)}`;
}
