import type { OutgoingMessage } from "../../lib/runtime/ports.ts";

export function outgoing(runId: string, delayMs = 0): OutgoingMessage {
  const message = { v: 1, kind: "nudge", runId, workflow: "order", fingerprint: "f", epoch: 0, sentAtMs: 0 } as const;
  return { taskQueue: "default", delayMs, message };
}
