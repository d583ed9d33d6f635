/** From a record of the table's stream to the status change that it tells of (R9). */
import * as z from "zod";
import { parseShardFingerprint } from "../definition/shards.ts";
import { field } from "../engine/codec.ts";
import { lifecycleEvent } from "../engine/lifecycle.ts";
import type { Fields } from "../engine/transition.ts";
import type { RunStatusChange } from "./event-bus.ts";
import { attributeOf, runIdAt, tableSchema } from "./table.ts";

const text = z.object({ S: z.string() }).transform(({ S }) => S);
const number = z.object({ N: z.coerce.number() }).transform(({ N }) => N);

const RunImage = z
  .object({
    [attributeOf(field.status)]: text,
    [attributeOf(field.workflow)]: text,
    [attributeOf(field.fingerprint)]: text,
    [attributeOf(field.changes)]: number,
  })
  .transform((image): Fields => {
    const names = [field.status, field.workflow, field.fingerprint, field.changes];
    return Object.fromEntries(names.map((name) => [name, image[attributeOf(name)] ?? ""]));
  });

const StreamEvent = z.object({
  Records: z.array(
    z.object({
      dynamodb: z.object({
        SequenceNumber: z.string(),
        /** Seconds since 1970. */
        ApproximateCreationDateTime: z.number(),
        Keys: z.object({ [tableSchema.partitionKey]: text, [tableSchema.sortKey]: text }),
        NewImage: z.unknown().optional(),
        OldImage: z.unknown().optional(),
      }),
    }),
  ),
});

export type StreamRecord = z.output<typeof StreamEvent>["Records"][number]["dynamodb"];

/** @throws {Error} when it is no event of a table's stream */
export function parseStreamEvent(event: unknown): readonly StreamRecord[] {
  const parsed = StreamEvent.safeParse(event);
  if (parsed.success) return parsed.data.Records.map(({ dynamodb }) => dynamodb);
  throw new Error(
    `This handler takes events of the table's stream with new and old images, and was given something else. ${z.prettifyError(parsed.error)}`,
  );
}

export interface StatusChange {
  readonly change: RunStatusChange;
  /** The run is part of a map: its user did not start it. */
  readonly isShard: boolean;
}

/** `undefined` when the record is not about a run, or its status did not change. @throws {z.ZodError} when the run cannot be read */
export function statusChangeOf(record: StreamRecord): StatusChange | undefined {
  const { Keys, NewImage, OldImage, ApproximateCreationDateTime } = record;
  const runId = runIdAt(Keys[tableSchema.partitionKey]);
  // A run that is deleted has ended before.
  if (runId === undefined || Keys[tableSchema.sortKey] !== "run" || NewImage === undefined) return undefined;
  const after = RunImage.parse(NewImage);
  const event = lifecycleEvent(runId, OldImage === undefined ? undefined : RunImage.parse(OldImage), after);
  if (event === undefined) return undefined;
  const time = new Date(ApproximateCreationDateTime * 1000).toISOString();
  return {
    change: { ...event, time },
    isShard: parseShardFingerprint(String(after[field.fingerprint])) !== undefined,
  };
}
