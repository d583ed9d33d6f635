/** Messages come from a queue that others may write to: parsed by schema, bounded, and never trusted (R8). */
import * as z from "zod/mini";
import { limits } from "../definition/limits.ts";
import { otherVersion, StoredShapeError } from "../engine/field-reader.ts";
import { type Message, messageVersion } from "../engine/message.ts";
import { tracks } from "../engine/track.ts";
import { check } from "./small-schema.ts";

const count = z.int().check(z.gte(0));

const base = {
  v: z.literal(messageVersion),
  runId: z.string().check(z.minLength(1), z.maxLength(limits.derivedRunIdLength)),
  workflow: z.string().check(z.minLength(1), z.maxLength(limits.nameLength)),
  fingerprint: z.string().check(z.minLength(1), z.maxLength(64)),
  epoch: count,
  sentAtMs: count,
  hops: z.exactOptional(count),
};

const stepIndex = z.int().check(z.gte(0), z.lte(limits.stepsPerWorkflow));

const messageSchema = z.discriminatedUnion("kind", [
  z.object({
    ...base,
    kind: z.literal(tracks),
    step: stepIndex,
    attempt: z.int().check(z.gte(1)),
    wakeAtMs: z.exactOptional(count),
    mayHaveActed: z.exactOptional(z.literal(true)),
  }),
  z.object({ ...base, kind: z.literal("nudge") }),
  z.object({ ...base, kind: z.literal("deadline") }),
  z.object({ ...base, kind: z.literal("slot") }),
  z.object({ ...base, kind: z.literal("childEnded"), step: stepIndex }),
  z.object({ ...base, kind: z.literal("endChild"), step: stepIndex }),
]) satisfies z.ZodMiniType<Message>;

export type ParsedMessage =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly reason: string };

/** @throws {StoredShapeError} for one of a newer version: workers of that version may run beside this one */
export function parseMessage(body: unknown): ParsedMessage {
  const parsed = check(messageSchema, body);
  if (parsed.success) return { ok: true, message: parsed.data };
  const version = (body as { readonly v?: unknown } | null)?.v;
  if (typeof version === "number" && version > messageVersion)
    throw new StoredShapeError("A message", otherVersion(version, messageVersion));
  return { ok: false, reason: `Not a Pawl message: ${z.prettifyError(parsed.error)}` };
}
