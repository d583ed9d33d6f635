/** Where a page of runs ends, as the text that callers hand back for the next one. Every `RunIndex` writes the same. */
import { createHash } from "node:crypto";
import { canonicalJson } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import { PawlError } from "./errors.ts";
import type { RunFilter } from "./run-index.ts";

/** In the order of lists, which is newest first: what follows is older, or as old and of a smaller id. */
export interface Position {
  readonly createdAtMs: number;
  readonly runId: string;
}

/** @param filter of the list; the cursor is good for no other */
export function writeCursor({ createdAtMs, runId }: Position, filter: RunFilter): string {
  return Buffer.from(JSON.stringify([createdAtMs, runId, hashOf(filter)])).toString("base64url");
}

/** @throws {PawlError} invalid_request, for what is no cursor, or that of another filter */
export function readCursor(text: string, filter: RunFilter): Position {
  const [createdAtMs, runId, hash] = partsOf(text);
  if (typeof createdAtMs !== "number" || typeof runId !== "string" || runId.length > limits.derivedRunIdLength) {
    const shown = JSON.stringify(text.slice(0, 200));
    throw new PawlError(
      "invalid_request",
      `cursor is ${shown}; allowed is the cursor of the page before, as it came. Without one, the list begins anew.`,
    );
  }
  if (hash !== hashOf(filter)) {
    const remedy = "Ask for the next page with the same query as for the page before, or begin anew without a cursor.";
    throw new PawlError("invalid_request", `cursor is one of another list: its query was a different one. ${remedy}`);
  }
  return { createdAtMs, runId };
}

function partsOf(text: string): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    return Array.isArray(parts) ? parts : [];
  } catch {
    return [];
  }
}

/** Tells filters apart that mean something different; it is no secret. */
function hashOf({ statuses, ...rest }: RunFilter): string {
  const meant = { ...rest, ...(statuses === undefined ? {} : { statuses: [...new Set(statuses)].sort() }) };
  return createHash("sha256").update(canonicalJson(meant)).digest("base64url").slice(0, 10);
}
