/** Where a payload goes: into the run item while that costs nothing more, else into an item of its own. */
import { utf8Bytes } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import { recordBytes } from "./codec.ts";
import type { PayloadRef } from "./run-state.ts";
import type { Fields } from "./transition.ts";

/**
 * DynamoDB bills the whole run item on each update, rounded up to 1 KB: a payload is inline only while the item, with
 * the states that its open steps will still add, stays within that.
 *
 * @param openSteps steps whose final state the item does not hold yet
 */
export function placePayload(json: string, key: string, fields: Fields, openSteps: number): PayloadRef {
  const reservedBytes = openSteps * limits.stepStateBytes;
  const fits = recordBytes(fields) + reservedBytes + utf8Bytes(json) <= limits.runItemBytes;
  return fits ? { json } : { key };
}

export const payloadKey = {
  input: (inputHash: string): string => `in#${inputHash}`,
  /** Attempts write to keys of their own, so that one which lost its lease cannot replace what another has stored. */
  output: (step: number, epoch: number, attempt: number): string => `out#${step}#${epoch}.${attempt}`,
  error: (step: number, epoch: number, attempt: number): string => `err#${step}#${epoch}.${attempt}`,
  signal: (step: number, id: string): string => `sig#${step}#${id}`,
  callback: (step: number, id: string): string => `cb#${step}#${id}`,
  question: (id: string): string => `ask#${id}`,
  answer: (id: string): string => `ans#${id}`,
  background: (step: number, epoch: number, attempt: number): string => `bg#${step}#${epoch}.${attempt}`,
} as const;
