/** What callers of the engine are told. Expected outcomes inside the engine are values; these are for its users. */
import { FatalError } from "../definition/errors.ts";

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
  | "unavailable"
  /** The disk is full, or the data cannot be read or written. What was asked for has not happened, or not all of it. `cause` tells more. */
  | "storage_failed";

/** What only users of a client are told: it is no answer to a request. */
export type ClientErrorCode =
  /** The run has ended, and not by success. */
  | "run_failed"
  /** The run cannot go on with the code that is deployed, and waits for a person. */
  | "run_parked"
  /** The run has not ended within the time that was asked for. */
  | "wait_timeout"
  /** Over HTTP no usable answer came: from nobody, from somebody else, or of a kind that is not understood. */
  | "request_failed";

export class PawlError extends Error {
  override readonly name = "PawlError";
  readonly code: PawlErrorCode | ClientErrorCode;
  /** What a program can act on, e.g. the issues of an invalid input. JSON. */
  readonly details: unknown;

  constructor(code: PawlErrorCode | ClientErrorCode, message: string, details?: unknown, options?: ErrorOptions) {
    super(message, options);
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

/** Something that a step needs was stored, and is gone or damaged: another attempt would not find it either. */
export class LostPayload extends FatalError {
  override readonly name = "LostPayload";
}
