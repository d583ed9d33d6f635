/** Runs that are found, counted, and grouped by how they failed. */
import type { OpenAPIHono, z } from "@hono/zod-openapi";
import type { Queries, RunQuery } from "../runtime/queries.ts";
import type { ApiOptions } from "./app.ts";
import { openCursor, sealCursor } from "./cursor.ts";
import { Failures, FailuresQuery, ListQuery, RunPage, Stats, StatsQuery } from "./finding-schemas.ts";
import { given } from "./given.ts";
import { answer, serve } from "./route.ts";

const listRoute = {
  method: "get",
  path: "/runs",
  operationId: "listRuns",
  summary: "List runs, newest first",
  tag: "Finding",
  query: ListQuery,
  answers: { 200: answer(RunPage, "One page of them") },
  errors: ["invalid_cursor"],
} as const;

const failuresRoute = {
  method: "get",
  path: "/failures",
  operationId: "listFailures",
  summary: "List the kinds of open failures",
  tag: "Finding",
  query: FailuresQuery,
  answers: { 200: answer(Failures, "Most recent first") },
  errors: [],
} as const;

const statsRoute = {
  method: "get",
  path: "/stats",
  operationId: "getStats",
  summary: "Count runs by workflow, day and status, with how long they took and what is stored",
  tag: "Finding",
  query: StatsQuery,
  answers: { 200: answer(Stats, "The counts") },
  errors: [],
} as const;

export function addFindingRoutes(app: OpenAPIHono, queries: Queries, cursorKey: ApiOptions["cursorKey"]): void {
  serve(
    app,
    listRoute,
  )(async ({ query: { limit = 50, cursor, ...rest } }) => {
    const query = criteria(rest);
    const key = await cursorKey();
    const position = cursor === undefined ? undefined : openCursor(key, cursor, query);
    const page = await queries.list({ ...query, limit, ...given({ cursor: position }) });
    const next = page.cursor === undefined ? undefined : sealCursor(key, page.cursor, query);
    return { status: 200, body: { runs: page.runs, ...given({ cursor: next }) } };
  });
  serve(
    app,
    failuresRoute,
  )(async ({ query }) => {
    return { status: 200, body: { failures: await queries.failures(given(query)) } };
  });
  serve(
    app,
    statsRoute,
  )(async ({ query }) => {
    return { status: 200, body: await queries.stats(given(query)) };
  });
}

/** In one form, so that the same query has the same cursors however it is written. */
function criteria({ status, ...rest }: Omit<z.output<typeof ListQuery>, "limit" | "cursor">): RunQuery {
  return given({ ...rest, status: status?.toSorted() });
}
