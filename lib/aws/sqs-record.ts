/** A message as Lambda hands it to a function, parsed. */
import * as z from "zod/mini";
import { check } from "../runtime/small-schema.ts";
import { attributeNames } from "./sqs-requests.ts";

const count = z.coerce.number().check(z.int(), z.gte(0));
const attribute = z.object({ stringValue: z.optional(z.string()) });

const SqsRecord = z.object({
  messageId: z.string(),
  receiptHandle: z.string(),
  body: z.string(),
  attributes: z.object({ ApproximateReceiveCount: count }),
  messageAttributes: z._default(z.record(z.string(), attribute), {}),
  eventSourceARN: z.string(),
});

const SqsEvent = z.object({ Records: z.array(SqsRecord) });

export type SqsRecord = z.output<typeof SqsRecord>;

/** @throws {Error} when it is no event of SQS */
export function parseSqsEvent(event: unknown): readonly SqsRecord[] {
  const parsed = check(SqsEvent, event);
  if (parsed.success) return parsed.data.Records;
  throw new Error(
    `This handler takes events of SQS, and was given something else. Connect its function to a queue. ${z.prettifyError(parsed.error)}`,
  );
}

/** What the record says by itself. Attributes that are missing or malformed are as if nobody had set them. */
export function textOf(record: SqsRecord, name: keyof typeof attributeNames): string | undefined {
  return record.messageAttributes[attributeNames[name]]?.stringValue;
}

export function countOf(record: SqsRecord, name: keyof typeof attributeNames): number {
  return check(count, textOf(record, name)).data ?? 0;
}

/** The message, or the text when it is no JSON: the worker trusts neither. */
export function bodyOf({ body }: SqsRecord): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
