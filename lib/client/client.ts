/** What a client does, wherever the runs are: straight on the table and the queues of a stack, or by its HTTP API. */
import type { Workflow } from "../definition/workflow.ts";
import type { Commands, StartArguments, Started, StartRequest } from "../runtime/commands.ts";
import type { WaitOptions } from "../runtime/completion.ts";
import { PawlError } from "../runtime/errors.ts";
import type { Operations } from "../runtime/operations.ts";
import type { Queries } from "../runtime/queries.ts";
import type { RunView } from "../runtime/run-view.ts";

export interface Client extends Omit<Commands, "start">, Queries, AsyncDisposable {
  /** Starts a run with an input of the workflow's type. @throws {PawlError} see `Commands.start` */
  start<Input>(workflow: Workflow<string, Input>, ...request: StartArguments<Input>): Promise<Started>;
  /** Starts a run by the name of its workflow, with an input of any type. @throws {PawlError} see `Commands.start` */
  start(workflow: string, request?: StartRequest): Promise<Started>;
  /**
   * The run when it has ended, in whatever way. Nothing is asked in a loop meanwhile: the run's end tells it.
   *
   * @throws {PawlError} run_not_found, run_parked, wait_timeout, unavailable
   */
  waitForCompletion(runId: string, options?: WaitOptions): Promise<RunView>;
  /**
   * Waits for the run's end; its output, with the type that its workflow gives it. `undefined` when it has none.
   *
   * @param workflow that the run is of
   * @throws {PawlError} run_failed with `details.status` and `details.error` when it did not succeed; invalid_request when it
   *   is of another workflow; as of `waitForCompletion`
   */
  result<Output>(
    workflow: Workflow<string, unknown, Output>,
    runId: string,
    options?: WaitOptions,
  ): Promise<Awaited<Output>>;
  /** What is done to many runs at once. */
  readonly operations: Operations;
  /** Ends what waits, with `unavailable`, and leaves nothing behind. The client cannot be used any more. */
  close(): Promise<void>;
}

/** Of a run that has ended. @throws {PawlError} run_failed, invalid_request */
export async function outputOf(
  { name }: Pick<Workflow, "name">,
  run: RunView,
  output: (runId: string) => Promise<unknown>,
): Promise<unknown> {
  const { runId, workflow, status, error } = run;
  if (workflow !== name) {
    throw new PawlError("invalid_request", `Run ${runId} is of workflow "${workflow}", not of "${name}".`);
  }
  if (status === "succeeded") return run.outputRef === undefined ? run.output : output(runId);
  const at = error?.step === undefined ? "" : ` in step "${error.step}"`;
  const why = error === undefined ? "" : `: ${error.name}${at}: ${error.message}`;
  throw new PawlError("run_failed", `Run ${runId} of workflow "${name}" is ${status}${why}`, { status, error });
}
