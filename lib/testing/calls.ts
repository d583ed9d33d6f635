/** Every call of a step's code: what it was given and what came of it, whether the code was the step's own or a mock. */
import type { StepError } from "../definition/step.ts";
import type { AnyContext, CodeSite } from "./instrument.ts";

/** One call of a step's code, or of its compensation. */
export interface StepCall<Input = unknown, Outputs = unknown> {
  readonly runId: string;
  readonly workflow: string;
  readonly step: string;
  readonly part: CodeSite["part"];
  readonly attempt: number;
  readonly idempotencyKey: string;
  /** Of the run. */
  readonly input: Input;
  /** Of the steps that this one names. */
  readonly outputs: Outputs;
  /** Of a map: the item, and its place in the list. */
  readonly item?: unknown;
  readonly index?: number;
  /** What it returned; absent until it has, and when it threw. */
  readonly returned?: unknown;
  /** What it threw. */
  readonly threw?: StepError;
}

export class Calls {
  readonly #calls: StepCall[] = [];

  /** Calls the code and records the call, from its beginning on. */
  async record(site: CodeSite, context: AnyContext, code: () => unknown): Promise<unknown> {
    const place = this.#calls.length;
    const begun = begunCall(site, context);
    this.#calls.push(begun);
    try {
      const returned = await code();
      this.#calls[place] = { ...begun, returned };
      return returned;
    } catch (error) {
      const { name, message } = error instanceof Error ? error : { name: "NonError", message: String(error) };
      this.#calls[place] = { ...begun, threw: { name, message } };
      throw error;
    }
  }

  /** Those so far, in the order in which they began. */
  all(): readonly StepCall[] {
    return [...this.#calls];
  }

  of(wanted: Partial<Pick<StepCall, "runId" | "workflow" | "step" | "part">>): readonly StepCall[] {
    const { runId, workflow, step, part } = wanted;
    return this.#calls.filter(
      (call) =>
        (runId === undefined || call.runId === runId) &&
        (workflow === undefined || call.workflow === workflow) &&
        (step === undefined || call.step === step) &&
        (part === undefined || call.part === part),
    );
  }
}

function begunCall({ workflow, step, part }: CodeSite, context: AnyContext): StepCall {
  const { runId, attempt, idempotencyKey } = context;
  const given =
    "item" in context
      ? { input: undefined, outputs: {}, item: context.item, index: context.index }
      : { input: context.input, outputs: context.outputs };
  return { runId, workflow, step, part, attempt, idempotencyKey, ...given };
}
