/** What the benches of lists find: the same mixture of runs, however many there are, and every kind of list of them. */
import { isTerminal, type RunState, type RunStatus } from "../lib/engine/run-state.ts";
import type { ListRequest } from "../lib/runtime/queries.ts";

export const nowMs = Date.UTC(2026, 10, 21, 12);
const spanMs = 7 * 86_400_000;
export const workflows = ["order", "import", "report", "sync", "video"];
const parentId = "parent";

/** They begin evenly over a week. */
export function runAt(index: number, count: number): RunState {
  const workflow = workflows[index % workflows.length] ?? "order";
  const status = statusAt(index);
  const createdAtMs = nowMs - spanMs + Math.floor((index / count) * spanMs);
  const tookMs = 1_000 * (1 + (index % 5)) * (0.7 + (index % 71) / 100);
  const isChild = index % 20 === 7;
  const link = {
    workflow: "order",
    fingerprint: "0123456789abcdef",
    step: 0,
    taskQueue: "default",
    epoch: 0,
    attempt: 1,
  };
  const kind = Math.floor(index / 50) % 2;
  const error = { name: "Error", message: `Kind ${kind}`, step: "charge", fingerprint: `kind${kind}` };
  return {
    runId: isChild ? `${parentId}~s${index}` : `run-${index}-of-many`,
    workflow,
    fingerprint: "0123456789abcdef",
    status,
    epoch: 0,
    changes: 2,
    input: { json: `{"order":${index}}` },
    inputHash: "hash",
    steps: Array.from({ length: 10 }, () => ({
      status: "succeeded",
      attempt: 1,
      startedAtMs: createdAtMs,
      endedAtMs: nowMs,
    })),
    outputs: [],
    signals: [],
    undos: [],
    generations: [],
    tokens: [],
    interrupts: [],
    heartbeats: [],
    tags: { customer: `c-${index % 17}`, region: ["eu", "us", "asia"][index % 3] ?? "eu" },
    createdAtMs,
    ...(isChild ? { parent: link } : {}),
    ...(isTerminal(status) ? { endedAtMs: createdAtMs + Math.round(tookMs) } : {}),
    ...(status === "failed" ? { error } : {}),
  };
}

function statusAt(index: number): RunStatus {
  const place = Math.floor(index / workflows.length) % 100;
  if (place % 10 === 3) return "failed";
  if (place % 20 === 6) return "cancelled";
  if (place % 50 === 11) return "timed_out";
  return place % 25 === 14 ? "running" : "succeeded";
}

const from = new Date(nowMs - 5 * 86_400_000);
const to = new Date(nowMs - 2 * 86_400_000);
const tag = { key: "region", value: "eu" };

export const lists: Readonly<Record<string, Omit<ListRequest, "limit" | "cursor">>> = {
  "all runs": {},
  workflow: { workflow: "order" },
  status: { status: "failed" },
  "two statuses": { status: ["failed", "cancelled"] },
  time: { from, to },
  "workflow, status": { workflow: "order", status: "failed" },
  "workflow, time": { workflow: "order", from, to },
  "workflow, status, time": { workflow: "order", status: "succeeded", from, to },
  tag: { tag: { key: "customer", value: "c-3" } },
  "tag, time": { tag, from, to },
  "tag, status": { tag, status: "failed" },
  "tag, workflow": { tag, workflow: "order" },
  parent: { parent: parentId },
  fingerprint: { fingerprint: "kind1" },
  "fingerprint, tag": { fingerprint: "kind1", tag },
};
