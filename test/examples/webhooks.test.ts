// Hunts: a page on webhooks that shows other code than what is tried, and a receiver that believes anybody.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { readWebhook, webhooks } from "../../examples/webhooks.ts";
import { checkWebhooks } from "../../lib/system/webhooks.ts";
import { secret } from "../system/receiver.ts";

const page = readFileSync(new URL("../../docs/webhooks.md", import.meta.url), "utf8");

test("what it shows is examples/webhooks.ts", () => {
  const written = readFileSync(new URL("../../examples/webhooks.ts", import.meta.url), "utf8");
  const shown = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code ?? "");
  expect(shown).toHaveLength(2);
  for (const code of shown) expect(written).toContain(code);
});

test("its configuration is allowed", () => {
  expect([...checkWebhooks(webhooks).keys()]).toEqual(["crm"]);
});

test("its receiver believes what is signed with the secret now, and nothing else", () => {
  const body = '{"type":"run.status_changed","data":{"runId":"größe"}}';
  const signed = (at: Date, text = body): Record<string, string> => ({
    "webhook-id": "hook-1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(secret).sign("hook-1", at, text),
  });
  expect(readWebhook(signed(new Date()), body, secret)).toEqual(JSON.parse(body));
  const rotated = signed(new Date());
  rotated["webhook-signature"] = `v1,AAAA ${rotated["webhook-signature"]}`;
  expect(readWebhook(rotated, body, secret)).toEqual(JSON.parse(body));
  expect(() => readWebhook(signed(new Date()), `${body} `, secret)).toThrow("signature");
  expect(() => readWebhook({ ...signed(new Date()), "webhook-id": "hook-2" }, body, secret)).toThrow("signature");
  expect(() => readWebhook({}, body, secret)).toThrow("signature");
  expect(() => readWebhook(signed(new Date(Date.now() - 400_000)), body, secret)).toThrow("another time");
});
