/** The errors of defining and running a workflow. What happens to a run is decided by type, never by message text. */
import { type Duration, durationForm, parseDuration } from "./duration.ts";
import { shown } from "./shown.ts";

/** One thing that is wrong with a definition: where, what was seen, what is allowed, what to do. */
export interface DefinitionFault {
  /** Step and option, e.g. `step "charge": retry.maxAttempts`. */
  readonly at: string;
  readonly message: string;
}

/** Thrown by `workflow()` with everything that is wrong with the definition at once. */
export class DefinitionError extends Error {
  override readonly name = "DefinitionError";
  readonly workflow: string;
  readonly faults: readonly DefinitionFault[];

  constructor(workflow: string, faults: readonly DefinitionFault[]) {
    const list = faults.map((fault) => `  - ${fault.at}: ${fault.message}`).join("\n");
    super(`Workflow ${shown(workflow)} has ${faults.length} fault${faults.length === 1 ? "" : "s"}:\n${list}`);
    this.workflow = workflow;
    this.faults = faults;
  }
}

// Registered symbols, not classes, tell these errors: a workflow may have been written against another copy of Pawl than
// the one that runs it, and a card that was declined must not be charged again for that.
const fatalMark = Symbol.for("pawl.FatalError");
const retryableMark = Symbol.for("pawl.RetryableError");

export function isFatalError(error: unknown): error is FatalError {
  return error instanceof Error && fatalMark in error;
}

export function isRetryableError(error: unknown): error is RetryableError {
  return error instanceof Error && retryableMark in error;
}

/** Thrown by a step that must not be tried again: the step fails at once, whatever its retry policy says. */
export class FatalError extends Error {
  override readonly name: string = "FatalError";
  readonly [fatalMark] = true;
}

/** Thrown by a step that knows when to try again. The number of attempts stays bounded by the retry policy. */
export class RetryableError extends Error {
  override readonly name: string = "RetryableError";
  readonly [retryableMark] = true;
  /** Pause until the next attempt; the retry policy's backoff when absent. */
  readonly after: Duration | undefined;

  /** @throws {TypeError} when `after` is no duration */
  constructor(message: string, options: ErrorOptions & { readonly after?: Duration } = {}) {
    super(message, options);
    const { after } = options;
    if (after !== undefined && parseDuration(after) === undefined) {
      throw new TypeError(`RetryableError: after is ${shown(after)}; allowed is ${durationForm}.`, {
        cause: this,
      });
    }
    this.after = after;
  }
}
