/** Failures alike, as an item of the table. */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import type { FailureSight } from "../engine/projection.ts";
import type { FailureGroup } from "../runtime/run-index.ts";
import type { Placeholders } from "./expression.ts";
import { tableSchema } from "./table.ts";

type Item = Readonly<Record<string, AttributeValue>>;

/** What becomes of a group by some changes. */
export interface FailureGroupChange {
  readonly fingerprint: string;
  /** So many more runs are failed like this. */
  readonly by: number;
  /** Those that were seen; none when failures have only gone. */
  readonly first?: FailureSight;
  readonly last?: FailureSight;
}

/**
 * @param known the group as it was found, if it still is there. Without it, the change is for one that was seen neither later than the last nor
 *   earlier than the first of these: `condition`. Shards of the stream may be ahead of each other.
 */
export function failureGroupUpdate(
  { by, first, last }: FailureGroupChange,
  placeholders: Placeholders,
  known?: Pick<FailureGroup, "atMs" | "firstAtMs">,
): { readonly update: string; readonly condition?: string } {
  const set: string[] = [];
  const assign = (name: string, value: string | number): void => {
    // DynamoDB refuses halves of characters, which are legal in a message.
    const stored = typeof value === "string" ? value.toWellFormed() : value;
    set.push(`${placeholders.name(name)}=${placeholders.value(stored)}`);
  };
  if (last !== undefined && last.atMs >= (known?.atMs ?? last.atMs)) {
    for (const name of ["workflow", "name", "message", "runId", "atMs"] as const) assign(name, last[name]);
    if (last.step !== undefined) assign("step", last.step);
  }
  if (first !== undefined && known === undefined) {
    const name = placeholders.name("firstAtMs");
    set.push(`${name}=if_not_exists(${name},${placeholders.value(first.atMs)})`);
  } else if (first !== undefined && known !== undefined && first.atMs < known.firstAtMs) {
    assign("firstAtMs", first.atMs);
  }
  const update = `${set.length === 0 ? "" : `SET ${set.join(",")} `}ADD ${placeholders.name("count")} ${placeholders.value(by)}`;
  if (first === undefined || last === undefined) return { update };
  const at = placeholders.name("atMs");
  // What it was found with would be missing from one that has gone since.
  if (known !== undefined) return { update, condition: `attribute_exists(${at})` };
  const firstAt = placeholders.name("firstAtMs");
  const isNext = `${at}<=${placeholders.value(last.atMs)} AND ${firstAt}<=${placeholders.value(first.atMs)}`;
  return { update, condition: `attribute_not_exists(${at}) OR (${isNext})` };
}

/** When the group was seen, of an item as it is stored. */
export function seenTimes({ atMs, firstAtMs }: Item): Pick<FailureGroup, "atMs" | "firstAtMs"> {
  return { atMs: Number(atMs?.N ?? 0), firstAtMs: Number(firstAtMs?.N ?? 0) };
}

/** `undefined` for one that nothing is left of. */
export function readFailureGroup(item: Item): FailureGroup | undefined {
  const fingerprint = item[tableSchema.sortKey]?.S;
  const { workflow, step, name, message, runId, count } = item;
  if (fingerprint === undefined || workflow?.S === undefined || runId?.S === undefined) return undefined;
  const open = Number(count?.N ?? 0);
  if (open <= 0) return undefined;
  return {
    fingerprint,
    workflow: workflow.S,
    ...(step?.S === undefined ? {} : { step: step.S }),
    name: name?.S ?? "",
    message: message?.S ?? "",
    runId: runId.S,
    ...seenTimes(item),
    count: open,
  };
}
