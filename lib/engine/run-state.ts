/**
 * What a run is, in long names. The engine decides on these values; `codec.ts` knows how they are stored.
 *
 * Owns: the statuses, and which of them are ends. Does not own: which moves are allowed (`moves.ts`).
 */

export const runStatuses = ["running", "paused", "unwinding", "succeeded", "failed", "cancelled", "timed_out"] as const;
export type RunStatus = (typeof runStatuses)[number];

export const terminalStatuses = ["succeeded", "failed", "cancelled", "timed_out"] as const satisfies RunStatus[];
export type TerminalStatus = (typeof terminalStatuses)[number];

export function isTerminal(status: RunStatus): status is TerminalStatus {
  return (terminalStatuses as readonly RunStatus[]).includes(status);
}

/** Whether its steps may begin, now or when it is resumed. */
export function isBeforeEnd(status: RunStatus): boolean {
  return status === "running" || status === "paused";
}

/** What a run may unwind to, besides `failed`. */
export const unwindTargets = ["cancelled", "timed_out"] as const satisfies TerminalStatus[];
export type UnwindTarget = (typeof unwindTargets)[number];

/** A step that has not begun has no state at all. */
export type StepState =
  | {
      readonly status: "running";
      readonly attempt: number;
      /** Random per delivery: tells our own claim from another's when a response was lost. */
      readonly owner: string;
      readonly leaseUntilMs: number;
      readonly startedAtMs: number;
      readonly mayHaveActed?: true;
    }
  /**
   * Waits for the next attempt, or (at attempt 0) for the start time that its code computed.
   * `mayHaveActed`, here and above: an earlier attempt of a step that can be undone was cut off and may have taken effect.
   */
  | {
      readonly status: "backing_off";
      readonly attempt: number;
      readonly wakeAtMs: number;
      readonly mayHaveActed?: true;
    }
  /** Waits for a signal, an answer or a time, without a worker. Without `wakeAtMs` it waits for the outside alone. */
  | WaitingStep
  | EndedStep;

export interface WaitingStep {
  readonly status: "waiting";
  readonly attempt: number;
  readonly sinceMs: number;
  readonly wakeAtMs?: number;
  readonly mayHaveActed?: true;
}

export interface EndedStep {
  /**
   * `unknown`: whether it took effect is not known. An attempt of it was cut off and none succeeded, and the step can be
   * undone; or its worker was lost, or its task token not answered yet, when the run was already ending.
   * `cancelled`: the run ended before the step did.
   */
  readonly status: "succeeded" | "failed" | "skipped" | "unknown" | "cancelled";
  /** The last attempt; 0 when no attempt was made. */
  readonly attempt: number;
  /** Of the last attempt. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

export type StepStatus = "pending" | StepState["status"];

export const stepStatuses = [
  "pending",
  "running",
  "backing_off",
  "waiting",
  "succeeded",
  "failed",
  "skipped",
  "unknown",
  "cancelled",
] as const satisfies StepStatus[];

export function hasEnded(step: StepState | undefined): step is EndedStep {
  if (step === undefined) return false;
  const { status } = step;
  return status !== "running" && status !== "backing_off" && status !== "waiting";
}

/** A payload inside the run item, or the key of the item that holds it. */
export type PayloadRef = { readonly json: string } | { readonly key: string };

/** A signal that was sent to a step. Its id tells this sending from another whose answer was lost. */
export interface SignalRecord {
  readonly id: string;
  /** Until the step takes it; then it is the step's output. */
  readonly payload?: PayloadRef;
}

/** What a step has asked people. */
export interface Interrupts {
  /** Ids of the answers, in the order of the questions. */
  readonly answers: readonly string[];
  /** Id of the question that the step is parked on. */
  readonly pending?: string;
}

/** Why a run failed, as the run tells it. The step's own record has the whole error. */
export interface RunError {
  readonly name: string;
  readonly message: string;
  /** The step that failed; absent when the run failed as a whole. */
  readonly step?: string;
  /** The same for failures alike: of the same workflow, step and kind of error, thrown at the same place. */
  readonly fingerprint?: string;
}

/** Why a run is paused: on request, or because it cannot go on with the code that is there. */
export interface PauseReason {
  readonly code: "requested" | "workflow_missing" | "step_missing" | "graph_missing";
  readonly message: string;
}

/** The step of another run that started this one, and the attempt that waits for its end. */
export interface ParentLink {
  readonly workflow: string;
  readonly fingerprint: string;
  /** Index in the parent's graph. */
  readonly step: number;
  readonly taskQueue: string;
  readonly epoch: number;
  readonly attempt: number;
}

/** The right to go on beside other runs of the same key; `gate.ts` hands it out. `""` is the key of a whole workflow. */
export type Slot =
  /** The run waits for it and begins no step. Without a ticket it has not asked yet. */
  | { readonly status: "wanted"; readonly key: string; readonly ticket?: number }
  /** Until the run ends, however it ends. */
  | { readonly status: "held"; readonly key: string; readonly ticket: number; readonly sinceMs: number };

/** Where a forked run comes from. */
export interface ForkOrigin {
  readonly runId: string;
  /** Id of the step from which on everything began anew. */
  readonly from: string;
  /** Random per fork: the epoch of the payloads that it copied. */
  readonly id: string;
}

export interface RunState {
  readonly runId: string;
  readonly workflow: string;
  readonly fingerprint: string;
  readonly status: RunStatus;
  /** Raised by redrive. Messages of an older epoch bounce. */
  readonly epoch: number;
  /** Number of the last status change: makes the id of its lifecycle event (R9). */
  readonly changes: number;
  readonly input: PayloadRef;
  /** Tells the same start from another with the same run id. */
  readonly inputHash: string;
  /** By index in the run's graph. */
  readonly steps: readonly (StepState | undefined)[];
  readonly outputs: readonly (PayloadRef | undefined)[];
  /** By index of the step that they were sent to. */
  readonly signals: readonly (SignalRecord | undefined)[];
  /** By index of the step that they undo: their attempts. */
  readonly undos: readonly (StepState | undefined)[];
  /** By index: the epoch in which a step began anew after it, or something before it, had been undone. */
  readonly generations: readonly (number | undefined)[];
  /** What an unwinding run ends as. Absent: `failed`. It stays in a run that has ended. */
  readonly unwindTo?: UnwindTarget;
  /** By index, of steps that a redrive ended by hand: the id of the record that says who and why. */
  readonly byHand?: readonly (string | undefined)[];
  readonly forkedFrom?: ForkOrigin;
  /**
   * By index of a callback: hash of the task token of its newest attempt. Once the token was used, the id of that
   * answer, which tells it from another's: no token fits it.
   */
  readonly tokens: readonly (string | undefined)[];
  /** By index of the step that asks. */
  readonly interrupts: readonly (Interrupts | undefined)[];
  /** By index of the step: details of its last heartbeat, as JSON. */
  readonly heartbeats: readonly (string | undefined)[];
  readonly error?: RunError;
  readonly pause?: PauseReason;
  /** Of a run whose workflow limits how many go on at the same time. */
  readonly slot?: Slot;
  readonly createdAtMs: number;
  readonly endedAtMs?: number;
  /** From the end of the run until it expires; absent: it never does. */
  readonly retentionMs?: number;
  /** Of a run that has ended: when it may be deleted. A whole second. */
  readonly expiresAtMs?: number;
  /** The bulk operation that last acted on the run: its run's id. */
  readonly operation?: string;
  readonly startAtMs?: number;
  readonly deadlineAtMs?: number;
  /** When the present epoch began; absent in the first. */
  readonly redrivenAtMs?: number;
  /** When the run began to unwind, or was resumed: what it is to do since then may have been ready for much longer. */
  readonly turnedAtMs?: number;
  readonly tags?: Readonly<Record<string, string>>;
  /** Whose id follows from this run's: see `parentRunId`. */
  readonly parent?: ParentLink;
  /** Who is to be told of its end: until when they wait, by the id of the queue that they look at. */
  readonly waiters?: Readonly<Record<string, number>>;
}
