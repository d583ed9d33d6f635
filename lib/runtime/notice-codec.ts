/** The form of a notice on the wire. Parsed like everything that comes from outside. */
import * as z from "zod";
import { runStatuses } from "../engine/run-state.ts";
import type { Notice } from "../engine/waiter.ts";

const NoticeShape = z.object({
  v: z.literal(1),
  runId: z.string(),
  status: z.enum(runStatuses),
  epoch: z.int().nonnegative(),
  parked: z.literal(true).optional(),
});

/** `undefined` for what is none, or of a version that is not known here. */
export function parseNotice(body: unknown): Notice | undefined {
  const found = NoticeShape.safeParse(body).data;
  if (found === undefined) return undefined;
  const { parked, ...notice } = found;
  return { ...notice, ...(parked === undefined ? {} : { parked }) };
}
