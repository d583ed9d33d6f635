/**
 * Tells another system when an order has ended badly; and how that system knows who speaks.
 *
 *     CRM_WEBHOOK_SECRET=whsec_… npx pawl dev examples/webhooks.ts
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import process from "node:process";
import type { WebhookBody, WebhookOptions } from "pawl";

export { order } from "./order.ts";

export const webhooks: WebhookOptions[] = [
  {
    name: "crm",
    url: "https://crm.example/hooks/pawl",
    // Called for each delivery: a secret that is changed counts from the next one on.
    secret: () => process.env.CRM_WEBHOOK_SECRET ?? "",
    workflows: ["order"],
    statuses: ["failed", "cancelled", "timed_out"],
  },
];

/** Seconds by which the clocks of sender and receiver may differ. */
const tolerance = 300;

/**
 * For the receiver: what was told, when it comes from Pawl. Libraries for Standard Webhooks do the same.
 *
 * @param body exactly as it came, before anything has parsed it
 * @param secret `whsec_` and Base64
 * @throws {Error} when it is not signed with the secret, or is not of now
 */
export function readWebhook(
  headers: Readonly<Record<string, string | undefined>>,
  body: string,
  secret: string,
): WebhookBody {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures = "" } = headers;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest();
  const isSigned = signatures.split(" ").some((text) => {
    const given = Buffer.from(text.replace(/^v1,/, ""), "base64");
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (!isSigned) throw new Error("The signature is not that of this secret.");
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= tolerance))
    throw new Error("It was signed at another time.");
  return JSON.parse(body) as WebhookBody;
}
