/** A definition as its users see it: dependencies by step id instead of index, and the input as JSON Schema. */
import type { z } from "@hono/zod-openapi";
import type { RateLimit } from "../definition/flow.ts";
import { dependencyKinds, type GraphStep, type RetryPolicy, type SignalTimeout } from "../definition/graph.ts";
import { deserialize } from "../definition/json.ts";
import type { Schedule } from "../definition/schedule.ts";
import type { RunCode, StepCode } from "../definition/step.ts";
import type { Workflow } from "../definition/workflow.ts";
import { jsonSchemaOf } from "../runtime/json-schema.ts";
import type {
  RetryPolicy as RetrySchema,
  Workflow as WorkflowSchema,
  Workflows as WorkflowsSchema,
} from "./workflow-schemas.ts";

export type WorkflowView = z.output<typeof WorkflowSchema>;
type StepView = WorkflowView["steps"][number];

export function viewWorkflow({
  name,
  fingerprint,
  graph,
  inputSchema,
  code,
  concurrency,
  schedule,
}: Workflow): WorkflowView {
  const idOf = (index: number): string => graph.steps[index]?.id ?? String(index);
  return {
    name,
    fingerprint,
    takesInput: inputSchema !== undefined,
    input: jsonSchemaOf(inputSchema),
    ...(graph.output === undefined ? {} : { output: idOf(graph.output) }),
    ...(graph.timeoutMs === undefined ? {} : { timeoutMs: graph.timeoutMs }),
    ...(concurrency === undefined ? {} : { concurrency: { limit: concurrency.limit, ...viewKey(concurrency) } }),
    ...(schedule === undefined ? {} : { schedule: viewSchedule(schedule) }),
    steps: graph.steps.map((step) => viewStep(step, code.get(step.id), idOf)),
  };
}

function viewSchedule(schedule: Schedule): NonNullable<WorkflowView["schedule"]> {
  if (schedule.kind === "every") return { everyMs: schedule.everyMs };
  return { cron: schedule.cron.text, timezone: schedule.timezone };
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

function viewStep(step: GraphStep, code: StepCode | undefined, idOf: (index: number) => string): StepView {
  const [after, afterAny, afterFailed, afterSettled] = dependencyKinds.map((kind) => step[kind].map(idOf));
  const node = {
    id: step.id,
    after: after ?? [],
    afterAny: afterAny ?? [],
    afterFailed: afterFailed ?? [],
    afterSettled: afterSettled ?? [],
    skipWithDependency: step.skipWithDependency ?? false,
    when: step.hasWhen ?? false,
    ...(step.delayMs === undefined ? {} : { delayMs: step.delayMs }),
    onFailure: step.onFailure,
    taskQueue: step.taskQueue,
  };
  switch (step.kind) {
    case "callback": {
      const output = code?.kind === "callback" ? code.output : undefined;
      return {
        kind: "callback",
        ...node,
        takesOutput: output !== undefined,
        output: jsonSchemaOf(output),
        attemptTimeoutMs: step.timeoutMs,
        ...(step.waitMs === undefined ? {} : { timeoutMs: step.waitMs }),
        ...(step.heartbeatMs === undefined ? {} : { heartbeatTimeoutMs: step.heartbeatMs }),
        retry: viewRetry(step.retry),
        ...viewCompensation(step),
      };
    }
    case "step": {
      const startAt = step.startAtMs === undefined ? undefined : new Date(step.startAtMs).toISOString();
      return {
        kind: "step",
        ...node,
        ...(step.hasStartAt === true ? { startAt: "computed" } : startAt === undefined ? {} : { startAt }),
        timeoutMs: step.timeoutMs,
        ...(step.heartbeatMs === undefined ? {} : { heartbeatTimeoutMs: step.heartbeatMs }),
        ...(code?.kind === "step" ? viewRateLimit(code) : {}),
        ...(step.poll === undefined ? {} : { poll: { ...step.poll } }),
        ...(step.idempotent === undefined ? {} : { idempotent: true }),
        retry: viewRetry(step.retry),
        ...viewCompensation(step),
      };
    }
    case "signal": {
      const payload = code?.kind === "signal" ? code.payload : undefined;
      return {
        kind: "signal",
        ...node,
        takesPayload: payload !== undefined,
        payload: jsonSchemaOf(payload),
        ...(step.waitMs === undefined ? {} : { timeoutMs: step.waitMs }),
        onTimeout: viewOnTimeout(step.onTimeout),
      };
    }
    case "sleep":
      return {
        kind: "sleep",
        ...node,
        ...(step.durationMs === undefined ? { until: "computed" } : { durationMs: step.durationMs }),
      };
    case "child":
      return {
        kind: "child",
        ...node,
        ...(code?.kind === "child" ? { workflow: code.workflow().name } : {}),
        whenParentEnds: step.whenParentEnds,
        ...viewCompensation(step),
      };
    case "map": {
      const { item, tolerated, concurrency } = step;
      const each = code?.kind === "map" && code.item.kind === "child" ? code.item.workflow().name : undefined;
      return {
        kind: "map",
        ...node,
        ...(each === undefined ? {} : { each }),
        ...(item.kind === "step" ? { retry: viewRetry(item.retry), timeoutMs: item.timeoutMs } : {}),
        ...(item.kind === "step" && item.idempotent === true ? { idempotent: true } : {}),
        ...(concurrency === undefined ? {} : { concurrency }),
        toleratedFailures: "count" in tolerated ? tolerated.count : `${tolerated.percent}%`,
      };
    }
    case "shard":
      throw new TypeError(`Step "${step.id}" starts a shard: no definition has such a step.`);
  }
}

function viewRateLimit({ rateLimit }: RunCode): { rateLimit?: { limit: number; perMs: number; key?: string | null } } {
  if (rateLimit === undefined) return {};
  return { rateLimit: { limit: rateLimit.limit, perMs: rateLimit.perMs, ...viewKey(rateLimit) } };
}

function viewKey({ key }: Pick<RateLimit, "key">): { key?: string | null } {
  return key === undefined ? {} : { key: typeof key === "string" ? key : null };
}

function viewCompensation({ compensate }: GraphStep): {
  compensation?: { timeoutMs: number; retry: ReturnType<typeof viewRetry> };
} {
  if (compensate === undefined) return {};
  return { compensation: { timeoutMs: compensate.timeoutMs, retry: viewRetry(compensate.retry) } };
}

/** A copy: what the schemas give may be changed, a graph may not. */
function viewRetry({ maxAttempts, backoff }: RetryPolicy): z.output<typeof RetrySchema> {
  return { maxAttempts, backoff: { ...backoff } };
}

function viewOnTimeout(onTimeout: SignalTimeout): "fail" | "skip" | { value?: unknown } {
  return onTimeout.then === "value" ? { value: deserialize(onTimeout.json) } : onTimeout.then;
}
