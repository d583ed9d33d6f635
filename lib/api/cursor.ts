/**
 * Cursors as they travel over HTTP: where the page before ended, as the store says it, under a signature of that and of
 * the query. So a store is only ever asked to go on where it stopped itself, and in the same list.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { limits } from "../definition/limits.ts";
import type { RunQuery } from "../runtime/queries.ts";
import { ApiError } from "./api-error.ts";

/** 16 of the 32 bytes: nobody guesses 2^128, and the cursor stays short. */
const signatureBytes = 16;

/** @param key the secret that is kept with the runs */
export function sealCursor(key: string, position: string, query: RunQuery): string {
  const text = Buffer.from(position, "utf8");
  return Buffer.concat([sign(key, text, query), text]).toString("base64url");
}

/** The position. @throws {ApiError} invalid_cursor, for whatever is not exactly what was handed out for this query */
export function openCursor(key: string, cursor: string, query: RunQuery): string {
  const bytes = cursor.length <= limits.cursorLength ? Buffer.from(cursor, "base64url") : Buffer.alloc(0);
  const signature = bytes.subarray(0, signatureBytes);
  const text = bytes.subarray(signatureBytes);
  // Some texts mean the same bytes: only the one that was handed out is taken.
  const isOwn = bytes.length > signatureBytes && bytes.toString("base64url") === cursor;
  if (isOwn && timingSafeEqual(signature, sign(key, text, query))) return text.toString("utf8");
  throw new ApiError(
    "invalid_cursor",
    "The cursor is none of this query. Pass `cursor` of the page before as it is, with the same criteria, or none to begin with the first page.",
  );
}

function sign(key: string, text: Buffer, query: RunQuery): Buffer {
  const criteria = JSON.stringify(Object.entries(query).toSorted(([one], [other]) => (one < other ? -1 : 1)));
  const length = Buffer.alloc(4);
  // Says where the position ends, whatever is in it.
  length.writeUInt32BE(text.length);
  return createHmac("sha256", key)
    .update("pawl cursor 1")
    .update(length)
    .update(text)
    .update(criteria)
    .digest()
    .subarray(0, signatureBytes);
}
