/** What the server has said, kept by its client: the truth that no kill may change. */
import type { RunView } from "../../lib/runtime/run-view.ts";

/** One run that the client asked for, and what came of it. */
export interface Entry {
  readonly runId: string;
  readonly workflow: string;
  readonly input: number;
  /** What the server has acknowledged, in this order. */
  readonly acknowledged: Acknowledged[];
  /** Requests that were cut off: they may have counted, or not. */
  readonly unknown: Acknowledged["what"][];
  /** As the run was shown last. */
  last?: RunView;
  /** Its story is over: the run has ended as the client wanted. */
  isOver: boolean;
}

export type Acknowledged =
  | { readonly what: "start" | "cancel" | "redrive" }
  /** Of a signal, an answer or a callback: what the step's output must have. */
  | { readonly what: "gave"; readonly stepId: string; readonly value: number };

/** A result that somebody has seen: it is committed for good. */
export interface Seen {
  readonly runId: string;
  readonly stepId: string;
  readonly token: string;
  readonly atMs: number;
}

export class Ledger {
  readonly entries: Entry[] = [];
  readonly seen: Seen[] = [];
  /** What must not happen whatever is killed: a 500, an answer that never comes, an unexpected refusal. */
  readonly surprises: string[] = [];

  begin(workflow: string, input: number): Entry {
    const runId = `${workflow}-${input}`;
    const entry: Entry = { runId, workflow, input, acknowledged: [], unknown: [], isOver: false };
    this.entries.push(entry);
    return entry;
  }

  see(entry: Entry, view: RunView): void {
    entry.last = view;
    for (const [stepId, { status, output }] of Object.entries(view.steps)) {
      const token = (output as { readonly token?: unknown } | undefined)?.token;
      if (status === "succeeded" && typeof token === "string") {
        this.seen.push({ runId: view.runId, stepId, token, atMs: Date.now() });
      }
    }
  }
}
