/**
 * Which records of the table's stream tell of a change of a run's status, its start and its removal included: event patterns, which Lambda holds every record
 * against before it invokes anything. Most writes are none of them, and then cost no invocation.
 */
import { field } from "../engine/codec.ts";
import { isTerminal, type RunStatus, runStatuses, terminalStatuses } from "../engine/run-state.ts";
import { attributeOf, itemKey, tableSchema } from "./table.ts";

/** As Lambda takes it: values that are allowed, by path. */
export type EventPattern = Readonly<Record<string, unknown>>;

/**
 * A pattern cannot compare two values of a record, so there is one for each status that a run may leave. The ends share
 * one: no end follows another. Runs that begin and runs that are removed share one, too, but for runs that begin where an
 * item has barred their id: these share that of a status in which no run begins. Together they are as many as Lambda takes
 * for one event source: five.
 */
export const statusChangePatterns: readonly EventPattern[] = [
  { eventName: ["INSERT", "REMOVE"], dynamodb: { Keys: keysOfRun() } },
  ...runStatuses
    .filter((status) => !isTerminal(status))
    .map((status) => leaves([status], status === "paused" ? [{ exists: false }] : [])),
  leaves(terminalStatuses),
];

function leaves(statuses: readonly RunStatus[], others: readonly unknown[] = []): EventPattern {
  const status = attributeOf(field.status);
  return {
    eventName: ["MODIFY"],
    dynamodb: {
      Keys: keysOfRun(),
      OldImage: { [status]: { S: [...statuses, ...others] } },
      NewImage: { [status]: { S: [{ "anything-but": statuses }] } },
    },
  };
}

function keysOfRun(): EventPattern {
  // All runs have the same sort key.
  const { sk } = itemKey.run("any");
  return { [tableSchema.sortKey]: { S: [sk] } };
}
