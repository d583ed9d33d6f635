/** Which runs are meant: the same options for lists and for bulk operations. */
import { type Command, InvalidArgumentError } from "commander";
import { durationForm, parseDuration } from "../definition/duration.ts";
import { parseInstant } from "../definition/instant.ts";
import { type RunStatus, runStatuses } from "../engine/run-state.ts";
import type { RunQuery } from "../runtime/queries.ts";
import { parseTag, quote } from "./arguments.ts";

export interface FilterFlags {
  readonly workflow?: string;
  readonly status?: readonly RunStatus[];
  /** ISO 8601. */
  readonly from?: string;
  readonly to?: string;
  readonly tag?: readonly [key: string, value: string];
  readonly parent?: string;
  readonly fingerprint?: string;
}

export function withFilter(command: Command): Command {
  return command
    .option("--workflow <workflow>", "runs of this workflow")
    .option("--status <status>", "runs in this status; several: failed,timed_out", parseStatuses)
    .option("--from <time>", "created then or later: ISO 8601, or so long ago: 2h, 7d", parseTime)
    .option("--to <time>", "created before then", parseTime)
    .option("--tag <key=value>", "runs with this tag", parseOneTag)
    .option("--parent <runId>", "runs that this run has started")
    .option("--fingerprint <fingerprint>", "runs that failed alike: see pawl failures");
}

export function queryOf({ workflow, status, from, to, tag, parent, fingerprint }: FilterFlags): RunQuery {
  return {
    ...(workflow === undefined ? {} : { workflow }),
    ...(status === undefined ? {} : { status }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(tag === undefined ? {} : { tag: { key: tag[0], value: tag[1] } }),
    ...(parent === undefined ? {} : { parent }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
}

/** As `GET /runs` takes it. */
export function searchParams({ status, tag, ...rest }: FilterFlags): URLSearchParams {
  const { workflow, from, to, parent, fingerprint } = rest;
  const params = {
    workflow,
    status: status?.join(","),
    from,
    to,
    tag: tag?.join(":"),
    parent,
    fingerprint,
  };
  return new URLSearchParams(
    Object.entries(params).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** The options again, for the command line that goes on from here. */
export function filterArguments({ status, tag, ...rest }: FilterFlags): string[] {
  const { workflow, from, to, parent, fingerprint } = rest;
  const params = { workflow, status: status?.join(","), from, to, tag: tag?.join("="), parent, fingerprint };
  return Object.entries(params).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, quote(value)]));
}

function parseStatuses(text: string, before: readonly RunStatus[] = []): readonly RunStatus[] {
  const isStatus = (one: string): one is RunStatus => (runStatuses as readonly string[]).includes(one);
  const statuses = text.split(",").map((one) => {
    if (isStatus(one)) return one;
    throw new InvalidArgumentError(`Allowed are ${runStatuses.join(", ")}.`);
  });
  return [...new Set([...before, ...statuses])];
}

function parseTime(text: string): string {
  const agoMs = parseDuration(text);
  const atMs = agoMs === undefined ? parseInstant(text) : Date.now() - agoMs;
  if (atMs !== undefined && Math.abs(atMs) <= 8.64e15) return new Date(atMs).toISOString();
  throw new InvalidArgumentError(
    `Allowed is ISO 8601 with its offset, such as 2027-01-31 or 2027-01-31T08:00:00Z, or how long ago: ${durationForm}.`,
  );
}

function parseOneTag(text: string, before: FilterFlags["tag"]): FilterFlags["tag"] {
  if (before !== undefined) throw new InvalidArgumentError("One tag can be asked for.");
  const [tag] = Object.entries(parseTag(text));
  // The API takes the first colon for the end of the key.
  if (tag?.[0].includes(":")) throw new InvalidArgumentError("A key with a colon cannot be asked for.");
  return tag;
}
