/** From a record of the table's stream to the status change that it tells of (R9), and to the run before and after it. */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import * as z from "zod";
import { parseShardFingerprint } from "../definition/shards.ts";
import { decodeRun, field } from "../engine/codec.ts";
import { lifecycleEvent, type RunStatusChange } from "../engine/lifecycle.ts";
import type { RunState } from "../engine/run-state.ts";
import type { Fields } from "../engine/transition.ts";
import type { RemovedRun } from "../runtime/removal.ts";
import { readFields } from "./dynamo-requests.ts";
import type { RunChange } from "./projection-writes.ts";
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
  const runId = runIdOf(record);
  // A run that is deleted has ended before.
  if (runId === undefined || isNone(record.NewImage)) return undefined;
  const after = RunImage.parse(record.NewImage);
  const event = lifecycleEvent(runId, isNone(record.OldImage) ? undefined : RunImage.parse(record.OldImage), after);
  if (event === undefined) return undefined;
  const time = new Date(record.ApproximateCreationDateTime * 1000).toISOString();
  return {
    change: { ...event, time },
    isShard: parseShardFingerprint(String(after[field.fingerprint])) !== undefined,
  };
}

/** `undefined` when the record is not about a run. @throws {Error} when the run cannot be read, before or after the change */
export function runChangeOf(record: StreamRecord): RunChange | undefined {
  const runId = runIdOf(record);
  if (runId === undefined || (isNone(record.NewImage) && isNone(record.OldImage))) return undefined;
  const read = (image: unknown): RunState | undefined =>
    isNone(image) ? undefined : decodeRun(runId, readFields(Image.parse(image)));
  return {
    second: Math.floor(record.ApproximateCreationDateTime),
    before: read(record.OldImage),
    after: read(record.NewImage),
  };
}

const Image = z
  .record(z.string(), z.union([z.object({ S: z.string() }), z.object({ N: z.string() })]))
  .transform((image): Readonly<Record<string, AttributeValue>> => image);

/** The run that is gone, removed by us or expired; `undefined` when the record tells of none. @throws {Error} when it cannot be read */
export function removedRunOf(record: StreamRecord): RemovedRun | undefined {
  const runId = runIdOf(record);
  if (runId === undefined || record.NewImage !== undefined || isNone(record.OldImage)) return undefined;
  return { runId, fields: readFields(Image.parse(record.OldImage)) };
}

const Bar = z.object({
  [attributeOf(field.barred)]: number,
  [attributeOf(field.status)]: z.undefined().optional(),
});

/** Also of what bars an id: no run is there. */
function isNone(image: unknown): boolean {
  return image === undefined || Bar.safeParse(image).success;
}

/** `undefined` for every other item. */
function runIdOf({ Keys }: StreamRecord): string | undefined {
  const { [tableSchema.partitionKey]: pk, [tableSchema.sortKey]: sk } = Keys;
  return sk === "run" ? runIdAt(pk) : undefined;
}
