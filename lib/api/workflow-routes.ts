import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Commands } from "../runtime/commands.ts";
import { PawlError } from "../runtime/errors.ts";
import { answer, serve } from "./route.ts";
import { Workflow, WorkflowParams, Workflows } from "./workflow-schemas.ts";
import { viewWorkflow, viewWorkflows } from "./workflow-view.ts";

const listRoute = {
  method: "get",
  path: "/workflows",
  operationId: "listWorkflows",
  summary: "List the workflows",
  tag: "Workflows",
  answers: { 200: answer(Workflows, "The workflows that are served") },
  errors: [],
} as const;

const showRoute = {
  method: "get",
  path: "/workflows/{workflow}",
  operationId: "getWorkflow",
  summary: "Show a workflow: its input and its graph",
  tag: "Workflows",
  params: WorkflowParams,
  answers: { 200: answer(Workflow, "The workflow") },
  errors: ["workflow_not_found"],
} as const;

export function addWorkflowRoutes(app: OpenAPIHono, commands: Commands): void {
  serve(app, listRoute)(() => ({ status: 200, body: viewWorkflows(commands.workflows()) }));
  serve(
    app,
    showRoute,
  )(({ params: { workflow: name } }) => {
    const workflow = commands.workflows().find((one) => one.name === name);
    if (workflow !== undefined) return { status: 200, body: viewWorkflow(workflow) };
    const known = commands.workflows().map((one) => one.name);
    const message = `There is no workflow ${JSON.stringify(name.slice(0, 200))}. Known are: ${known.length === 0 ? "none" : known.join(", ")}.`;
    throw new PawlError("workflow_not_found", message, { known });
  });
}
