/** One run, as a test follows it. */
import type { CallbackFailure } from "../runtime/callbacks.ts";
import type { Commands } from "../runtime/commands.ts";
import type { RunView } from "../runtime/run-view.ts";
import type { Calls, StepCall } from "./calls.ts";
import type { Histories } from "./histories.ts";
import { formatHistory, type HistoryEntry } from "./history.ts";
import type { CodePart } from "./instrument.ts";
import { TestError } from "./test-error.ts";

export interface TestRun<Output = unknown, Code = unknown> {
  readonly runId: string;
  /** The run as it is when all that needs no time has happened. @throws {PawlError} run_not_found */
  show(): Promise<RunView>;
  /**
   * Skips time until the run has ended, however.
   *
   * @throws {TestError} when it waits for somebody: which signal, answer or callback, and how to send it
   */
  toEnd(): Promise<RunView>;
  /** The same, and gives the run's output. @throws {TestError} when it did not succeed, with its error and its history */
  output(): Promise<Output>;
  /** Sends a signal: its step takes it now, or when it begins to wait. @throws {PawlError} as `Commands.signal` does */
  signal(name: string, payload?: unknown): Promise<void>;
  /** Answers the question that the step asks now. @throws {TestError} when it asks none @throws {PawlError} as `Commands.answer` does */
  answer(step: string, answer?: unknown): Promise<void>;
  /** What whoever was given the task token of this callback does with it. */
  callback(step: string): TestCallback;
  /** What has happened to it, in order, when all that needs no time has happened. */
  history(): Promise<readonly HistoryEntry[]>;
  /** Calls of the step's code so far, or of its compensation's; of a map, those of its items. */
  calls<const Id extends string>(step: Id | IdOf<Code>, part?: CodePart): Promise<readonly CallOf<Code, Id>[]>;
}

/** The newest task token that the step was given. @throws {TestError} when it has none yet */
export interface TestCallback {
  /** @throws {PawlError} as `CallbackCommands.succeed` does */
  succeed(output?: unknown): Promise<void>;
  /** @throws {PawlError} as `CallbackCommands.fail` does */
  fail(failure: CallbackFailure): Promise<void>;
  /** @throws {PawlError} as `CallbackCommands.heartbeat` does */
  heartbeat(): Promise<void>;
  /** To be used in other ways, such as over HTTP. */
  token(): Promise<string>;
}

type IdOf<Code> = Code extends { readonly id: infer Id extends string } ? Id : never;

type CallOf<Code, Id extends string> = [Extract<Code, { readonly id: Id }>] extends [never]
  ? StepCall
  : Extract<Code, { readonly id: Id }> extends {
        readonly context: { readonly input: infer I; readonly outputs: infer O };
      }
    ? StepCall<I, O>
    : StepCall;

export interface TestRunParts {
  readonly commands: Commands;
  readonly histories: Histories;
  readonly calls: Calls;
  /** Newest task tokens, by run and step. */
  readonly tokens: ReadonlyMap<string, string>;
  readonly rest: () => Promise<void>;
  readonly toEnd: () => Promise<void>;
}

export function createTestRun<Output, Code>(runId: string, parts: TestRunParts): TestRun<Output, Code> {
  const { commands, histories, calls, rest } = parts;
  const show = async (): Promise<RunView> => {
    await rest();
    return commands.get(runId);
  };
  const toEnd = async (): Promise<RunView> => {
    await parts.toEnd();
    return show();
  };
  return {
    runId,
    show,
    toEnd,
    async output() {
      const run = await toEnd();
      if (run.status !== "succeeded") throw new TestError(notSucceeded(run, histories.of(runId)));
      return (await commands.output(runId)) as Output;
    },
    async signal(name, payload) {
      await rest();
      await commands.signal(runId, name, payload);
      await rest();
    },
    async answer(step, answer) {
      const run = await show();
      const id = run.steps[step]?.interrupt?.id;
      if (id === undefined) throw new TestError(asksNothing(run, step));
      await commands.answer(runId, id, answer);
      await rest();
    },
    callback: (step) => callbackOf(runId, step, parts),
    async history() {
      await rest();
      return histories.of(runId);
    },
    calls: async <const Id extends string>(step: Id | IdOf<Code>, part: CodePart = "run") => {
      const { steps } = await show();
      if (steps[step] === undefined)
        throw new TestError(`Run ${runId} has no step "${step}". It has: ${Object.keys(steps).join(", ")}.`);
      // Of the step whose type the compiler has looked up by its id.
      return calls.of({ runId, step, part }) as unknown as readonly CallOf<Code, Id>[];
    },
  };
}

function callbackOf(runId: string, step: string, { commands, tokens, rest }: TestRunParts): TestCallback {
  const token = async (): Promise<string> => {
    await rest();
    const newest = tokens.get(`${runId}/${step}`);
    if (newest !== undefined) return newest;
    const message = `Step "${step}" of run ${runId} has handed out no task token: it is no callback of its workflow, or has not begun. Look at run.history().`;
    throw new TestError(message);
  };
  const use = async (how: (token: string) => Promise<unknown>): Promise<void> => {
    await how(await token());
    await rest();
  };
  return {
    token,
    succeed: (output) => use((held) => commands.callbacks.succeed(held, output)),
    fail: (failure) => use((held) => commands.callbacks.fail(held, failure)),
    heartbeat: () => use((held) => commands.callbacks.heartbeat(held)),
  };
}

function notSucceeded({ runId, status, error }: RunView, history: readonly HistoryEntry[]): string {
  const at = error?.step === undefined ? "" : ` in step "${error.step}"`;
  const because = error === undefined ? "" : `${at}: ${error.name}: ${error.message}`;
  return `Run ${runId} has no output: it is ${status}${because}. What happened:\n${formatHistory(history)}`;
}

function asksNothing({ runId, steps }: RunView, step: string): string {
  const asking = Object.entries(steps).flatMap(([id, { interrupt }]) => (interrupt === undefined ? [] : [id]));
  const others = asking.length === 0 ? "No step of it asks anything now" : `Those that ask are: ${asking.join(", ")}`;
  const status = steps[step]?.status ?? "not there";
  return `Step "${step}" of run ${runId} asks no question: it is ${status}. ${others}.`;
}
