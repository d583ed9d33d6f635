import type { OutgoingMessage } from "../../lib/runtime/ports.ts";

export const nowMs = Date.UTC(2026, 10, 21, 12, 0, 0);

export const address = {
  queues: {
    default: { url: "https://sqs/default", arn: "arn:aws:sqs:us-east-1:0:default" },
    inventory: { url: "https://sqs/inventory", arn: "arn:aws:sqs:us-east-1:0:inventory" },
  },
  scheduleGroup: "group",
  scheduleRole: "arn:aws:iam::0:role/schedules",
  replies: { prefix: "replies-" },
};

export function outgoing(runId: string, delayMs = 0, taskQueue = "default", sentAtMs = nowMs): OutgoingMessage {
  const base = { v: 1, runId, workflow: "order", fingerprint: "f", epoch: 0, sentAtMs } as const;
  return { taskQueue, delayMs, message: { ...base, kind: "step", step: 0, attempt: 1 } };
}
