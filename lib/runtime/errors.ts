/** What callers of the engine are told. Expected outcomes inside the engine are values; these are for its users. */

export type PawlErrorCode =
  | "workflow_not_found"
  | "run_not_found"
  | "operation_not_found"
  | "step_not_found"
  | "invalid_input"
  | "invalid_request"
  | "payload_too_large"
  /** The run id is taken by another start. */
  | "run_conflict"
  /** The run's workflow has no signal of that name. */
  | "signal_not_found"
  | "invalid_payload"
  /** No callback waits for an answer by this token, for whatever reason. */
  | "callback_not_found"
  /** The run never asked a question of this id. */
  | "interrupt_not_found"
  /** The question was answered before. */
  | "interrupt_conflict"
  /** The signal was sent before, or its step has ended. */
  | "signal_conflict"
  /** The run's status does not allow the operation. */
  | "status_conflict"
  /** The engine is stopping, a start could not be written in time, or too many ask at once; nothing has begun, and it can be repeated. */
  | "unavailable";

export class PawlError extends Error {
  override readonly name = "PawlError";
  readonly code: PawlErrorCode;
  /** What a program can act on, e.g. the issues of an invalid input. JSON. */
  readonly details: unknown;

  constructor(code: PawlErrorCode, message: string, details?: unknown) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** Why an attempt's signal was aborted: the signal's `reason`. */
export class AttemptAborted extends Error {
  override readonly name = "AttemptAborted";
  readonly because: "timeout" | "heartbeat_timeout" | "run_ending" | "run_ended" | "lease_lost" | "shutdown";

  constructor(because: AttemptAborted["because"], message: string) {
    super(message);
    this.because = because;
  }
}

/** An attempt was silent for longer than its step's heartbeat timeout. The step's error then has this name. */
export class HeartbeatTimeout extends Error {
  override readonly name = "HeartbeatTimeout";
}

/** An attempt took longer than its step's timeout. The step's error then has this name. */
export class StepTimeout extends Error {
  override readonly name = "StepTimeout";
}
