/** What users ask of a bulk operation, checked: a filter that was mistyped must not act on everything. */
import * as z from "zod";
import { instantForm, parseInstant } from "../definition/instant.ts";
import { limits } from "../definition/limits.ts";
import { runMoves } from "../engine/moves.ts";
import { type RunStatus, runStatuses, terminalStatuses } from "../engine/run-state.ts";
import { PawlError } from "../runtime/errors.ts";
import { type OperationAction, type OperationRequest, operationActions } from "../runtime/operations.ts";
import type { RunFilter } from "../runtime/run-index.ts";
import { bulkName } from "./names.ts";

/** The input of a run that does it. The same request gives the same, however it was written. */
export interface BulkInput {
  readonly action: OperationAction;
  readonly filter: BulkFilter;
  readonly ratePerSecond: number;
  readonly limit: number;
  readonly signal?: { readonly name: string; readonly payload?: unknown };
}

/** A `RunQuery` in its one form. */
interface BulkFilter {
  readonly workflow?: string;
  readonly status: readonly RunStatus[];
  readonly from?: string;
  readonly to?: string;
  readonly tag?: { readonly key: string; readonly value: string };
  readonly parent?: string;
  readonly fingerprint?: string;
}

/** The statuses in which a run can be acted on like this. */
const statusesFor: Readonly<Record<OperationAction, readonly RunStatus[]>> = {
  redrive: runMoves.redrive,
  cancel: runMoves.cancel,
  terminate: runMoves.terminate,
  signal: ["running", "paused"],
  purge: terminalStatuses,
};

const text = z.string().min(1);
const time = z.union([z.string(), z.date()]);

const Request = z.strictObject({
  action: z.enum(operationActions),
  filter: z.strictObject({
    workflow: text.optional(),
    status: z.union([z.enum(runStatuses), z.array(z.enum(runStatuses)).min(1)]).optional(),
    from: time.optional(),
    to: time.optional(),
    tag: z.strictObject({ key: text, value: text }).optional(),
    parent: text.optional(),
    fingerprint: text.optional(),
  }),
  signal: z.strictObject({ name: text, payload: z.unknown().optional() }).optional(),
  dryRun: z.boolean().optional(),
  ratePerSecond: z.int().min(1).max(limits.operationRate).default(limits.usualOperationRate),
  limit: z.int().min(1).max(limits.operationRuns).optional(),
  operationId: z.string().optional(),
});

/** @throws {PawlError} invalid_request */
export function parseOperation(request: OperationRequest): BulkInput {
  const parsed = Request.safeParse(request);
  if (!parsed.success) {
    const { issues } = parsed.error;
    const message = `The operation cannot be begun as it was asked for. ${z.prettifyError(parsed.error)}`;
    throw new PawlError("invalid_request", message, { issues });
  }
  const { action, filter, signal, ratePerSecond, limit } = parsed.data;
  if (Object.values(filter).every((criterion) => criterion === undefined)) {
    throw invalid(
      "The filter names no runs. Give at least one of workflow, status, from, to, tag, parent, fingerprint.",
    );
  }
  if (filter.workflow === bulkName) {
    throw invalid(`The filter names "${bulkName}", the runs of bulk operations; an operation acts on none of these.`);
  }
  if (action === "signal" && signal === undefined)
    throw invalid("It says no signal. Give its name: { signal: { name } }.");
  if (action !== "signal" && signal !== undefined) {
    throw invalid(`It says a signal, and its action is ${action}. Leave the signal out, or make the action "signal".`);
  }
  return {
    action,
    filter: {
      ...(filter.workflow === undefined ? {} : { workflow: filter.workflow }),
      status: parseStatuses(action, filter.status),
      ...parseTimes(filter),
      ...(filter.tag === undefined ? {} : { tag: filter.tag }),
      ...(filter.parent === undefined ? {} : { parent: filter.parent }),
      ...(filter.fingerprint === undefined ? {} : { fingerprint: filter.fingerprint }),
    },
    ratePerSecond,
    limit: parseLimit(ratePerSecond, limit),
    ...(signal === undefined
      ? {}
      : { signal: { name: signal.name, ...(signal.payload === undefined ? {} : { payload: signal.payload }) } }),
  };
}

/** Runs that one part of an operation acts on. */
export function runsPerPart(ratePerSecond: number): number {
  return Math.min(limits.operationPartRuns, (ratePerSecond * limits.operationPartMs) / 1_000);
}

/** Of runs created before this time only. */
export function filterOf({ filter }: BulkInput, beforeMs: number): RunFilter {
  const { status, from, to, ...rest } = filter;
  return {
    ...rest,
    statuses: status,
    ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
    toMs: to === undefined ? beforeMs : Math.min(Date.parse(to), beforeMs),
  };
}

function parseStatuses(action: OperationAction, given: RunStatus | readonly RunStatus[] | undefined): RunStatus[] {
  const possible = statusesFor[action];
  if (given === undefined) return [...possible];
  const wanted = typeof given === "string" ? [given] : given;
  const impossible = wanted.filter((status) => !possible.includes(status));
  if (impossible.length === 0) return runStatuses.filter((status) => wanted.includes(status));
  throw invalid(
    `Runs that are ${impossible.join(" or ")} cannot be acted on by ${action}; allowed are: ${possible.join(", ")}. Leave the others out of filter.status.`,
  );
}

function parseTimes({
  from,
  to,
}: {
  readonly from?: string | Date | undefined;
  readonly to?: string | Date | undefined;
}): {
  readonly from?: string;
  readonly to?: string;
} {
  const iso = (name: string, value: string | Date | undefined): Record<string, string> => {
    if (value === undefined) return {};
    const ms = parseInstant(value);
    if (ms === undefined) throw invalid(`filter.${name} is ${JSON.stringify(value)}; allowed is ${instantForm}.`);
    return { [name]: new Date(ms).toISOString() };
  };
  const times: { readonly from?: string; readonly to?: string } = { ...iso("from", from), ...iso("to", to) };
  if (times.from !== undefined && times.to !== undefined && times.from >= times.to) {
    throw invalid(`filter.from is ${times.from} and filter.to is ${times.to}; from must be the earlier one.`);
  }
  return times;
}

function parseLimit(ratePerSecond: number, limit: number | undefined): number {
  const most = Math.min(limits.operationRuns, runsPerPart(ratePerSecond) * limits.operationParts);
  if (limit === undefined) return most;
  if (limit <= most) return limit;
  throw invalid(
    `limit is ${limit}; at ${ratePerSecond} runs per second, one operation acts on up to ${most}. Raise ratePerSecond, or begin another operation when this one has ended.`,
  );
}

function invalid(message: string): PawlError {
  return new PawlError("invalid_request", message);
}
