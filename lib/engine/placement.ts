/** Where a payload goes: into the run item while that costs less, else into an item of its own. */
import { utf8Bytes } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import { recordBytes } from "./codec.ts";
import type { PayloadRef } from "./run-state.ts";
import type { Track } from "./track.ts";
import type { Fields } from "./transition.ts";

/**
 * DynamoDB bills the whole run item on each update, rounded up to 1 KB. Within that, with the states that its open steps
 * will still add, a payload costs nothing. Beyond, it is paid for with each write that is still to come, less what would
 * refer to it otherwise; an item of its own is written once and deleted once.
 *
 * @param openSteps steps whose final state the item does not hold yet: each takes two more writes
 */
export function placePayload(json: string, key: string, fields: Fields, openSteps: number): PayloadRef {
  if (json.length > limits.runItemBytes) return { key };
  const bytes = utf8Bytes(json);
  const referenceBytes = key.length + 1;
  if (bytes <= referenceBytes + limits.inlineBytes) return { json };
  const writesLeft = 2 * openSteps + 1;
  // Asked first: most payloads are small, and then nobody need count the record's bytes.
  if ((bytes - referenceBytes) * writesLeft <= 2 * limits.runItemBytes) return { json };
  const reservedBytes = openSteps * limits.stepStateBytes;
  return recordBytes(fields) + reservedBytes + bytes <= limits.runItemBytes ? { json } : { key };
}

/** The epoch of the attempt; or the random id of the fork that copied it, or of the redrive that set it by hand. */
type Epoch = number | string;

export const payloadKey = {
  input: (inputHash: string): string => `in#${inputHash}`,
  /**
   * Attempts write to keys of their own, so that one which lost its lease cannot replace what another has stored.
   *
   * @param owner of an attempt that was not claimed, as several may make the same one
   */
  output: (step: number, epoch: Epoch, attempt: number, owner?: string): string =>
    `out#${step}#${epoch}.${attempt}${owner === undefined ? "" : `.${owner}`}`,
  error: (step: number, epoch: Epoch, attempt: number, track: Track = "step"): string =>
    `${track === "undo" ? "u" : ""}err#${step}#${epoch}.${attempt}`,
  signal: (step: number, id: string): string => `sig#${step}#${id}`,
  background: (step: number, epoch: Epoch, attempt: number, track: Track = "step"): string =>
    `${track === "undo" ? "u" : ""}bg#${step}#${epoch}.${attempt}`,
  byHand: (step: number, id: string): string => `hand#${step}#${id}`,
  callback: (step: number, id: string): string => `cb#${step}#${id}`,
  question: (id: string): string => `ask#${id}`,
  answer: (id: string): string => `ans#${id}`,
} as const;
