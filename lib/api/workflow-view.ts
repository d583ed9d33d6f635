/** A definition as its users see it: dependencies by step id instead of index, and the input as JSON Schema. */
import type { z } from "@hono/zod-openapi";
import { toJSONSchema } from "zod";
import { dependencyKinds, type GraphStep } from "../definition/graph.ts";
import type { Workflow } from "../definition/workflow.ts";
import type { Workflow as WorkflowSchema, Workflows as WorkflowsSchema } from "./schemas.ts";

export type WorkflowView = z.output<typeof WorkflowSchema>;

export function viewWorkflow({ name, fingerprint, graph, inputSchema }: Workflow): WorkflowView {
  const idOf = (index: number): string => graph.steps[index]?.id ?? String(index);
  return {
    name,
    fingerprint,
    takesInput: inputSchema !== undefined,
    input: describeInput(inputSchema),
    ...(graph.output === undefined ? {} : { output: idOf(graph.output) }),
    ...(graph.timeoutMs === undefined ? {} : { timeoutMs: graph.timeoutMs }),
    steps: graph.steps.map((step) => viewStep(step, idOf)),
  };
}

export function viewWorkflows(workflows: readonly Workflow[]): z.output<typeof WorkflowsSchema> {
  return {
    workflows: workflows.map(({ name, fingerprint, graph }) => ({
      name,
      fingerprint,
      steps: graph.steps.map((step) => step.id),
    })),
  };
}

function viewStep(step: GraphStep, idOf: (index: number) => string): WorkflowView["steps"][number] {
  const [after, afterAny, afterFailed, afterSettled] = dependencyKinds.map((kind) => step[kind].map(idOf));
  const { maxAttempts, backoff } = step.retry;
  const startAt =
    step.hasStartAt === true
      ? "computed"
      : step.startAtMs === undefined
        ? undefined
        : new Date(step.startAtMs).toISOString();
  return {
    id: step.id,
    kind: step.kind,
    after: after ?? [],
    afterAny: afterAny ?? [],
    afterFailed: afterFailed ?? [],
    afterSettled: afterSettled ?? [],
    skipWithDependency: step.skipWithDependency ?? false,
    when: step.hasWhen ?? false,
    ...(step.delayMs === undefined ? {} : { delayMs: step.delayMs }),
    ...(startAt === undefined ? {} : { startAt }),
    timeoutMs: step.timeoutMs,
    retry: { maxAttempts, backoff: { ...backoff } },
    onFailure: step.onFailure,
    taskQueue: step.taskQueue,
  };
}

function describeInput(schema: Workflow["inputSchema"]): Record<string, unknown> | null {
  if (schema === undefined) return null;
  try {
    return toJSONSchema(schema, { io: "input" });
  } catch {
    // JSON Schema cannot say everything that zod can: dates, custom types.
    return null;
  }
}
