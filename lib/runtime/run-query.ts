/** What users ask of lists and statistics, checked: everything that is wrong is told with what is allowed. */
import { instantForm, parseInstant } from "../definition/instant.ts";
import { limits } from "../definition/limits.ts";
import { type RunStatus, runStatuses } from "../engine/run-state.ts";
import { PawlError } from "./errors.ts";
import type { RunQuery, StatsRequest } from "./queries.ts";
import type { RunFilter, RunListRequest } from "./run-index.ts";

const criteria = ["workflow", "status", "from", "to", "tag", "parent", "fingerprint"];

/** @throws {PawlError} invalid_request */
function parseRunQuery(query: RunQuery): RunFilter {
  refuseOthers(query, criteria);
  const { workflow, status, from, to, tag, parent, fingerprint } = query;
  const fromMs = from === undefined ? undefined : parseTime("from", from);
  const toMs = to === undefined ? undefined : parseTime("to", to);
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs) {
    throw refusal("to", to, `a time after from, which is ${JSON.stringify(from)}`);
  }
  return {
    ...(workflow === undefined ? {} : { workflow: parseText("workflow", workflow, limits.nameLength) }),
    ...(status === undefined ? {} : { statuses: parseStatuses(status) }),
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs }),
    ...(tag === undefined ? {} : { tag: parseTag(tag) }),
    ...(parent === undefined ? {} : { parent: parseText("parent", parent, limits.derivedRunIdLength) }),
    ...(fingerprint === undefined ? {} : { fingerprint: parseText("fingerprint", fingerprint, limits.nameLength) }),
  };
}

const defaultPage = 50;
/** Longer than that of the longest run id. */
const cursorLength = 2 * limits.derivedRunIdLength;

/** @throws {PawlError} invalid_request */
export function parseListRequest({
  limit = defaultPage,
  cursor,
  ...query
}: RunQuery & { readonly limit?: number; readonly cursor?: string }): RunListRequest {
  const filter = parseRunQuery(query);
  return {
    filter,
    limit: parseCount("limit", limit, limits.listedRuns),
    ...(cursor === undefined ? {} : { cursor: parseText("cursor", cursor, cursorLength) }),
  };
}

const defaultDays = 7;

/** @throws {PawlError} invalid_request */
export function parseStatsRequest(request: StatsRequest): Required<Pick<StatsRequest, "days">> & StatsRequest {
  refuseOthers(request, ["days", "workflow"]);
  const { days = defaultDays, workflow } = request;
  return {
    days: parseCount("days", days, limits.statsDays),
    ...(workflow === undefined ? {} : { workflow: parseText("workflow", workflow, limits.nameLength) }),
  };
}

/** @throws {PawlError} invalid_request */
export function parseFailuresRequest(request: { readonly workflow?: string }): { readonly workflow?: string } {
  refuseOthers(request, ["workflow"]);
  const { workflow } = request;
  return workflow === undefined ? {} : { workflow: parseText("workflow", workflow, limits.nameLength) };
}

/** A criterion that is not known would be left out, and more would be found than was meant. */
function refuseOthers(request: object, allowed: readonly string[]): void {
  const other = Object.entries(request).find(([name, value]) => value !== undefined && !allowed.includes(name));
  if (other === undefined) return;
  const [name] = other;
  const list = allowed.join(", ");
  throw new PawlError("invalid_request", `${shown(name)} is not known here; allowed are ${list}. Remove or rename it.`);
}

function parseTime(name: string, value: unknown): number {
  const ms = parseInstant(value);
  if (ms === undefined) throw refusal(name, value, instantForm);
  return ms;
}

function parseText(name: string, value: unknown, length: number): string {
  if (typeof value === "string" && value !== "" && value.length <= length) return value;
  throw refusal(name, value, `a text of 1 to ${length} characters`);
}

function parseCount(name: string, value: unknown, most: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw refusal(name, value, `a whole number from 1 to ${most}`);
}

function parseStatuses(value: unknown): readonly RunStatus[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const isStatus = (one: unknown): one is RunStatus => runStatuses.some((status) => status === one);
  if (list.length > 0 && list.every(isStatus)) return [...new Set(list)];
  throw refusal("status", value, `one or more of ${runStatuses.join(", ")}`);
}

function parseTag(value: unknown): { readonly key: string; readonly value: string } {
  const tag: { readonly key?: unknown; readonly value?: unknown } =
    typeof value === "object" && value !== null ? value : {};
  const isShort = (text: unknown): text is string =>
    typeof text === "string" && text !== "" && text.length <= limits.tagLength;
  if (isShort(tag.key) && isShort(tag.value)) return { key: tag.key, value: tag.value };
  throw refusal("tag", value, `{ key, value }, both texts of 1 to ${limits.tagLength} characters`);
}

function refusal(name: string, value: unknown, allowed: string): PawlError {
  return new PawlError("invalid_request", `${name} is ${shown(value)}; allowed is ${allowed}.`);
}

function shown(value: unknown): string {
  try {
    return JSON.stringify(value).slice(0, 200);
  } catch {
    // Circular, a BigInt, or what JSON has no words for.
    return `a ${typeof value}`;
  }
}
