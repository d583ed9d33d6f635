/**
 * Handlers of what is rare beside users' steps: dead letters, audits, and runs of Pawl's own workflows. Loaded when one of
 * them is asked for.
 */
import type { Workflow } from "../lib/definition/workflow.ts";
import { createAudit } from "../lib/runtime/audit.ts";
import { createWorker, type Worker } from "../lib/runtime/worker.ts";
import { createSystem, type System } from "../lib/system/system.ts";
import { type AuditHandler, auditHandler } from "./audit.ts";
import { type DeadLettersHandler, deadLettersHandler } from "./dead-letters.ts";
import { type StackMetrics, stackMetrics } from "./metrics.ts";
import { once } from "./once.ts";
import type { Stack } from "./stack.ts";

export function systemOf({ workflows, webhooks, connection }: Stack): System {
  const { ports, runIndex } = connection();
  return createSystem({ workflows, ports, index: runIndex, webhooks });
}

export function metricsOf({ name }: Stack): StackMetrics {
  return stackMetrics(name("stack"));
}

/** Users' workflows and Pawl's own. */
export function allWorkflows(stack: Stack, system: System): readonly Workflow[] {
  return [...stack.workflows, ...system.workflows];
}

/** For runs of Pawl's own workflows alone: those of users' are another worker's. */
export function createSystemWorker(stack: Stack): Worker {
  const { taskQueues, connection } = stack;
  return createWorker({ workflows: systemOf(stack).workflows, taskQueues, ports: connection().ports });
}

export function createDeadLetters(stack: Stack): DeadLettersHandler {
  const { taskQueues, name, logger, connection } = stack;
  return deadLettersHandler(
    once(() => {
      const basics = { logger: logger(), metrics: metricsOf(stack) };
      const { ports, sqs } = connection();
      const worker = createWorker({ workflows: allWorkflows(stack, systemOf(stack)), taskQueues, ports });
      return { ...basics, sqs, worker, archiveUrl: name("archive") };
    }),
  );
}

export function createAuditor(stack: Stack): AuditHandler {
  const { taskQueues, logger, connection } = stack;
  return auditHandler(
    once(() => {
      const basics = { logger: logger(), metrics: metricsOf(stack) };
      const { ports, openRuns, removeOrphans } = connection();
      const audit = createAudit({ workflows: allWorkflows(stack, systemOf(stack)), taskQueues, ports, openRuns });
      return { ...basics, clock: ports.clock, audit, removeOrphans };
    }),
  );
}
