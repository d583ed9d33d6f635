/**
 * Task tokens: what the holder of one may answer, and a secret that nobody can guess. The run keeps a hash of the secret,
 * so who can read the store cannot answer. A token is one text that is safe in URLs and on command lines.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { limits } from "../definition/limits.ts";
import type { TokenPlace } from "../engine/callback.ts";

export interface TaskToken extends TokenPlace {
  readonly runId: string;
  readonly secret: string;
}

export function formatToken({ secret, step, epoch, attempt, runId }: TaskToken): string {
  return Buffer.from([secret, step, epoch, attempt, runId].join("/")).toString("base64url");
}

/** `undefined` for what was never a token. */
export function parseToken(text: string): TaskToken | undefined {
  if (text.length > limits.tokenLength) return undefined;
  const bytes = Buffer.from(text, "base64url");
  const parts = /^([\w-]+)\/(\d{1,9})\/(\d{1,9})\/(\d{1,9})\/([\w.:~-]+)$/.exec(bytes.toString("utf8"));
  // Other texts may decode to the same bytes.
  if (parts === null || bytes.toString("base64url") !== text) return undefined;
  const [, secret = "", step, epoch, attempt, runId = ""] = parts;
  return { secret, step: Number(step), epoch: Number(epoch), attempt: Number(attempt), runId };
}

/** 132 bits of SHA-256: the secret is random, so that is as hard to reverse as the whole, and shorter to store. */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url").slice(0, 22);
}

/** In a time that tells nothing about where they differ. */
export function isSameHash(stored: string | undefined, hash: string): boolean {
  const [one, other] = [Buffer.from(stored ?? ""), Buffer.from(hash)];
  return one.length === other.length && timingSafeEqual(one, other);
}

/** A path, or a whole address, without the token in it, for logs and messages: also one that was mistyped around its token. */
export function withoutToken(path: string): string {
  const known = path.replace(/(\/callbacks\/+)[^/?]+/i, "$1…");
  return known.replace(/[\w-]{50,}/g, (part) => (parseToken(part) === undefined ? part : "…"));
}
