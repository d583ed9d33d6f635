/** What AWS would bill for a run, where the server counts it. */
import type { OpenAPIHono, z } from "@hono/zod-openapi";
import { ApiError } from "./api-error.ts";
import type { ApiOptions } from "./app.ts";
import { RunCost } from "./cost-schemas.ts";
import { answer, serve } from "./route.ts";
import { RunIdParams } from "./schemas.ts";

/** Counts what a run costs; `undefined` when it has not counted this one. */
export type CostOf = (runId: string) => Promise<z.output<typeof RunCost> | undefined>;

const costRoute = {
  method: "get",
  path: "/runs/{runId}/cost",
  operationId: "getRunCost",
  summary: "What AWS would bill for the run, and for the runs that it has started; only local servers count it",
  tag: "Runs",
  params: RunIdParams,
  answers: { 200: answer(RunCost, "What has been counted up to now") },
  errors: ["run_not_found", "not_metered"],
} as const;

export function addCostRoute(app: OpenAPIHono, { commands, costOf }: Pick<ApiOptions, "commands" | "costOf">): void {
  serve(
    app,
    costRoute,
  )(async ({ params: { runId } }) => {
    if (costOf === undefined) {
      const message = `This server does not count what runs cost, so nothing is known of run ${runId}. A local server does (pawl dev, without --no-cost), and pawl cost tells what a run of a workflow would.`;
      throw new ApiError("not_metered", message);
    }
    const cost = await costOf(runId);
    if (cost !== undefined) return { status: 200, body: cost };
    const { status } = await commands.get(runId);
    const message = `Nothing was counted of run ${runId}, which is ${status}: nothing has happened to it since this server counts what runs cost.`;
    throw new ApiError("not_metered", message);
  });
}
