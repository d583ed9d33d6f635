import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Commands } from "../runtime/commands.ts";
import { PawlError } from "../runtime/errors.ts";
import { failures, json } from "./describe.ts";
import { Workflow, WorkflowParams, Workflows } from "./schemas.ts";
import { viewWorkflow, viewWorkflows } from "./workflow-view.ts";

const listRoute = createRoute({
  method: "get",
  path: "/workflows",
  operationId: "listWorkflows",
  summary: "List the workflows",
  responses: { 200: json(Workflows, "The workflows that are served") },
});

const showRoute = createRoute({
  method: "get",
  path: "/workflows/{workflow}",
  operationId: "getWorkflow",
  summary: "Show a workflow: its input and its graph",
  request: { params: WorkflowParams },
  responses: { 200: json(Workflow, "The workflow"), ...failures("workflow_not_found") },
});

export function addWorkflowRoutes(app: OpenAPIHono, commands: Commands): void {
  app.openapi(listRoute, (c) => c.json(viewWorkflows(commands.workflows()), 200));
  app.openapi(showRoute, (c) => {
    const name = c.req.valid("param").workflow;
    const workflow = commands.workflows().find((one) => one.name === name);
    if (workflow !== undefined) return c.json(viewWorkflow(workflow), 200);
    const known = commands.workflows().map((one) => one.name);
    const message = `There is no workflow ${JSON.stringify(name.slice(0, 200))}. Known are: ${known.length === 0 ? "none" : known.join(", ")}.`;
    throw new PawlError("workflow_not_found", message, { known });
  });
}
