/** Where a payload goes: into the run item while that costs nothing more, else into an item of its own. */
import { utf8Bytes } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import { recordBytes } from "./codec.ts";
import type { PayloadRef } from "./run-state.ts";
import type { Track } from "./track.ts";
import type { Fields } from "./transition.ts";

/**
 * DynamoDB bills the whole run item on each update, rounded up to 1 KB: a payload is inline only while the item, with
 * the states that its open steps will still add, stays within that.
 *
 * @param openSteps steps whose final state the item does not hold yet
 */
export function placePayload(json: string, key: string, fields: Fields, openSteps: number): PayloadRef {
  const reservedBytes = openSteps * limits.stepStateBytes;
  const fits =
    json.length <= limits.runItemBytes && recordBytes(fields) + reservedBytes + utf8Bytes(json) <= limits.runItemBytes;
  return fits ? { json } : { key };
}

/** The epoch of the attempt; or the random id of the fork that copied it, or of the redrive that set it by hand. */
type Epoch = number | string;

export const payloadKey = {
  input: (inputHash: string): string => `in#${inputHash}`,
  /** Attempts write to keys of their own, so that one which lost its lease cannot replace what another has stored. */
  output: (step: number, epoch: Epoch, attempt: number): string => `out#${step}#${epoch}.${attempt}`,
  error: (step: number, epoch: Epoch, attempt: number, track: Track = "step"): string =>
    `${track === "undo" ? "u" : ""}err#${step}#${epoch}.${attempt}`,
  signal: (step: number, id: string): string => `sig#${step}#${id}`,
  background: (step: number, epoch: Epoch, attempt: number, track: Track = "step"): string =>
    `${track === "undo" ? "u" : ""}bg#${step}#${epoch}.${attempt}`,
  byHand: (step: number, id: string): string => `hand#${step}#${id}`,
} as const;
