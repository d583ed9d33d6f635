/**
 * Whether a step that runs twice does what it does once: its code is called alone, with the same idempotency key, as after
 * a crash that came before its end was stored.
 */
import { isDeepStrictEqual } from "node:util";
import type { CompensationContext, StepCode, StepContext } from "../definition/step.ts";
import type { CodeOf, Workflow } from "../definition/workflow.ts";
import { settleAll } from "../runtime/settle-all.ts";
import type { Explored } from "./explore.ts";
import type { AnyContext, CodePart, CodeSite } from "./instrument.ts";
import { type Effect, plain, Services } from "./services.ts";
import { silent } from "./silent.ts";
import { TestError } from "./test-error.ts";

/** What the step's code is given, and how it is seen what it does. */
export interface VerifyOptions<Input, Outputs> {
  /** Of the run, as its schema makes it. @default none */
  readonly input?: Input;
  /** Of the steps that this one names. @default none */
  readonly outputs?: Outputs;
  /** Of a map: one item of its list. */
  readonly item?: unknown;
  /** Answers to the questions that it asks, in their order. @default it asks none */
  readonly answers?: readonly unknown[];
  /** Verifies the step's compensation instead: of a step that had this output, or whose outcome is not known. */
  readonly undo?: { readonly output: unknown } | { readonly outcome: "unknown" };
  /** Puts everything outside back to its beginning. @default nothing is to be put back */
  readonly reset?: () => unknown;
  /** What has come of it outside, as JSON values. @default what watched services have come to, and the calls of the others */
  readonly effects?: () => unknown;
}

type ContextOf<W, Id> =
  Extract<CodeOf<W>, { readonly id: Id }> extends { readonly context: infer Context } ? Context : never;

type GivenTo<Context> = [Context] extends [never]
  ? VerifyOptions<unknown, unknown>
  : Context extends { readonly input: infer Input; readonly outputs: infer Outputs }
    ? VerifyOptions<Input, Outputs>
    : VerifyOptions<unknown, unknown>;

/** The step does more when it runs twice. The message shows what. */
export class NotIdempotentError extends Error {
  override readonly name = "NotIdempotentError";
}

/**
 * Calls the step's code once, and, from the beginning again, twice; what it returned and did must be the same.
 *
 * @throws {NotIdempotentError} showing the difference
 * @throws {TestError} when there is no such step, its code throws, or nothing of what it does can be seen
 */
export async function verifyIdempotent<W extends Workflow, const Id extends string>(
  workflow: Explored<W>,
  step: Id | CodeOf<W>["id"],
  options: GivenTo<ContextOf<W, Id>>,
): Promise<void> {
  const once = await called(1, workflow, step, options);
  const twice = await called(2, workflow, step, options);
  const differences = differencesOf(once, twice);
  if (differences.length === 0) return;
  const what = options.undo === undefined ? `Step "${step}"` : `The compensation of step "${step}"`;
  const head = `${what} of workflow "${once.workflow}" is not idempotent: run twice with the same idempotencyKey, it differs from once.`;
  throw new NotIdempotentError([head, ...differences].join("\n  - "));
}

interface Result {
  readonly workflow: string;
  /** What each call returned. */
  readonly returned: readonly unknown[];
  readonly effects: readonly Effect[];
  readonly states: Readonly<Record<string, unknown>>;
}

async function called(
  times: number,
  workflow: Explored<Workflow>,
  step: string,
  options: VerifyOptions<unknown, unknown>,
): Promise<Result> {
  await options.reset?.();
  const services = new Services(new Set());
  const made = typeof workflow === "function" ? workflow({ service: services.service }) : workflow;
  if (!services.hasAny() && options.effects === undefined) {
    const how = 'verifyIdempotent((t) => orderWith(t.service("bank", bank)), …), or give it effects';
    throw new TestError(`Nothing of what step "${step}" does can be seen. Make its services watched: ${how}.`);
  }
  const part: CodePart = options.undo === undefined ? "run" : "compensate";
  const code = codeOf(made, step, part);
  const site: CodeSite = { workflow: made.name, step, part, timeoutMs: 0 };
  const returned: unknown[] = [];
  for (let attempt = 1; attempt <= times; attempt++) {
    const { context, background } = contextOf(site, attempt, options);
    try {
      returned.push(plain(await services.within({ pass: () => undefined }, site, context, () => code(context))));
      await settleAll(background);
    } catch (error) {
      const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      if (attempt === 1)
        throw new TestError(`Step "${step}" threw when it ran for the first time: ${said}`, { cause: error });
      returned.push({ threw: said });
    }
  }
  const outside = options.effects === undefined ? {} : { effects: plain(await options.effects()) };
  return { workflow: made.name, returned, effects: services.effects, states: { ...services.states(), ...outside } };
}

function differencesOf(once: Result, twice: Result): string[] {
  const [only] = once.returned;
  const [, second] = twice.returned;
  const output = isDeepStrictEqual(only, second)
    ? []
    : [`it returned ${show(only)}, and the second time ${show(second)}`];
  const states = Object.keys(once.states).flatMap((of) => {
    const [one, two] = [once.states[of], twice.states[of]];
    return isDeepStrictEqual(one, two) ? [] : [`${of}: once ${show(one)}, twice ${show(two)}`];
  });
  const isKnown = ({ name }: Effect): boolean => name.slice(0, name.indexOf(".")) in once.states;
  const careless = twice.effects.slice(once.effects.length).filter((effect) => !effect.hasKey && !isKnown(effect));
  const calls = careless.map(
    ({ name, args }) => `${name}(${args.map(show).join(", ")}) was called again without the key`,
  );
  return [...output, ...states, ...calls];
}

function show(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}

function codeOf(workflow: Workflow, step: string, part: CodePart): (context: AnyContext) => unknown {
  const code = workflow.code.get(step);
  if (code === undefined) {
    const known = [...workflow.code.keys()].join(", ");
    throw new TestError(`Workflow "${workflow.name}" has no step "${step}". It has: ${known}.`);
  }
  const found = part === "run" ? runOf(code) : code.compensate?.run;
  const lacks = part === "run" ? `is a ${code.kind} and runs no code` : "has no compensation";
  if (found === undefined) throw new TestError(`Step "${step}" ${lacks}, so there is nothing to verify.`);
  return found as (context: AnyContext) => unknown;
}

function runOf(code: StepCode): unknown {
  if (code.kind === "step" || code.kind === "callback") return code.run;
  return code.kind === "map" && code.item.kind === "step" ? code.item.run : undefined;
}

function contextOf(
  { step, part }: CodeSite,
  attempt: number,
  { input, outputs = {}, item, answers = [], undo }: VerifyOptions<unknown, unknown>,
): { readonly context: AnyContext; readonly background: readonly Promise<unknown>[] } {
  const background: Promise<unknown>[] = [];
  const left = [...answers];
  const interrupt: StepContext<unknown, unknown, string>["interrupt"] = async (payload, schema) => {
    if (left.length > 0) return schema.parseAsync(left.shift());
    throw new TestError(`It asks ${JSON.stringify(payload)}. Give the answer in answers.`);
  };
  const outcome: Pick<CompensationContext<unknown, unknown, unknown, string>, "outcome" | "output"> | undefined =
    undo === undefined
      ? undefined
      : "output" in undo
        ? { outcome: "succeeded", output: undo.output }
        : { outcome: "unknown", output: undefined };
  const context = {
    input,
    outputs,
    errors: {},
    item,
    index: 0,
    ...outcome,
    runId: "verified",
    stepId: step,
    attempt,
    idempotencyKey: part === "run" ? `verified/${step}` : `verified/${step}/undo`,
    signal: new AbortController().signal,
    log: silent,
    background: (work: Promise<unknown>) => void background.push(work),
    interrupt,
    heartbeat: () => undefined,
    lastHeartbeat: undefined,
    token: "verified-token",
  };
  return { context, background };
}
