/** Code that stands in for the code of steps, as a test gives it, and whether it fits the workflows that it is for. */
import { type Duration, durationForm, parseDuration } from "../definition/duration.ts";
import { reachableWorkflows } from "../definition/reachable.ts";
import type { CompensationContext, StepCode, StepContext } from "../definition/step.ts";
import type { CodeOf, Workflow } from "../definition/workflow.ts";
import type { AnyContext, CodePart, CodeSite } from "./instrument.ts";
import { TestError } from "./test-error.ts";

/** What is done instead of a step's code. */
export type MockedCode<Context, Output> =
  | ((context: Context) => Output | Promise<Output>)
  | (MockOptions & { readonly returns: Output })
  | (MockOptions & { readonly fails: Error })
  /** The step's own code, after that time. */
  | (MockOptions & { readonly takes: Duration });

interface MockOptions {
  /** Virtual time that it takes; longer than the step's timeout: it times out. @default none */
  readonly takes?: Duration;
  /** It stands in for so many calls of each run; after them, the step's own code is called. @default all */
  readonly times?: number;
}

/** Of one step: its code, or also what undoes it. */
export type StepMock<Context, Output, UndoContext> =
  | MockedCode<Context, Output>
  | {
      readonly run?: MockedCode<Context, Output>;
      readonly compensate?: MockedCode<UndoContext, unknown>;
    };

/** By the names of workflows and the ids of their steps. (A condition, as the compiler then knows what functions are given.) */
export type Mocks<Workflows> = Workflows extends readonly Workflow[]
  ? { readonly [W in Workflows[number] as W["name"]]?: WorkflowMocks<W> }
  : never;

/**
 * The compiler knows the steps that lead to the workflow's output, with what they are given and return. Of a workflow
 * without an output it knows none, and takes any.
 */
export type WorkflowMocks<W extends Workflow> = [CodeOf<W>] extends [never]
  ? AnyMocks
  : {
      readonly [Code in CodeOf<W> as Code["id"]]?: StepMock<Code["context"], Code["returns"], Code["undoContext"]>;
    };

/** Of steps that the compiler knows nothing of. */
export type AnyMocks = Readonly<Record<string, StepMock<AnyStepContext, unknown, AnyUndoContext>>>;
type AnyStepContext = StepContext<unknown, unknown, string>;
type AnyUndoContext = CompensationContext<unknown, unknown, unknown, string>;

/** Mocks with their types erased, by workflow and step. */
export type ErasedMocks = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

/** A mock, ready to be called. */
export type CompiledMock = (context: AnyContext, own: () => unknown, call: CallCode) => unknown;

/** Calls code of the test's, so that virtual time waits for it. */
type CallCode = (code: () => unknown) => unknown;

/** Lets virtual time pass; rejects when it is aborted meanwhile. */
export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;

/** @throws {TestError} naming every mock that fits no step, or says nothing that a mock can say */
export function compileMocks(
  workflows: readonly Workflow[],
  given: readonly ErasedMocks[],
  wait: Wait,
): (site: CodeSite) => CompiledMock | undefined {
  const known = reachableWorkflows(workflows);
  const faults: string[] = [];
  const compiled = new Map<string, CompiledMock>();
  for (const [name, steps] of given.flatMap((mocks) => Object.entries(mocks))) {
    const workflow = known.get(name);
    if (workflow === undefined) {
      faults.push(`mock.${name}: there is no workflow of that name. There are: ${[...known.keys()].join(", ")}.`);
      continue;
    }
    for (const [id, mock] of Object.entries(steps ?? {})) {
      if (mock === undefined) continue;
      const at = `mock.${name}[${JSON.stringify(id)}]`;
      const code = workflow.code.get(id);
      const found = code === undefined ? unknownStep(workflow) : faultOf(code, mock);
      if (found !== undefined) faults.push(`${at}: ${found}`);
      else for (const [part, given] of partsOf(mock)) compiled.set(`${name}/${id}/${part}`, compile(given, wait));
    }
  }
  if (faults.length > 0) throw new TestError(["Mocks do not fit:", ...faults].join("\n  - "));
  return ({ workflow, step, part }) => compiled.get(`${workflow}/${step}/${part}`);
}

type AnyMockedCode = MockedCode<AnyContext, unknown>;

function unknownStep(workflow: Workflow): string {
  return `workflow "${workflow.name}" has no such step. It has: ${[...workflow.code.keys()].join(", ")}.`;
}

function partsOf(mock: unknown): [CodePart, AnyMockedCode][] {
  if (!hasParts(mock)) return [["run", mock as AnyMockedCode]];
  return Object.entries(mock) as [CodePart, AnyMockedCode][];
}

function hasParts(mock: unknown): mock is Readonly<Record<string, unknown>> {
  return typeof mock === "object" && mock !== null && ("run" in mock || "compensate" in mock);
}

function faultOf(code: StepCode, mock: unknown): string | undefined {
  const { kind } = code;
  if (hasParts(mock)) {
    const strange = Object.keys(mock).find((key) => key !== "run" && key !== "compensate");
    if (strange !== undefined) return `says ${JSON.stringify(strange)} beside run and compensate; leave it out.`;
    if ("compensate" in mock && code.compensate === undefined)
      return "the step has no compensate, so there is nothing to stand in for.";
    if (!("run" in mock)) return faultOfCode(mock.compensate);
  }
  if (kind === "signal") return 'is a signal and runs no code. Send it: run.signal("<name>", payload).';
  if (kind === "sleep") return 'is a sleep and runs no code. Let the time pass: engine.advance("3d").';
  const startsWorkflow = kind === "child" || (kind === "map" && code.item.kind === "child");
  if (startsWorkflow) return "starts runs of another workflow. Mock the steps of that workflow, under its name.";
  return partsOf(mock)
    .map(([, given]) => faultOfCode(given))
    .find((fault) => fault !== undefined);
}

const allowed = "a function, { returns }, { fails } or { takes }";

function faultOfCode(given: unknown): string | undefined {
  if (typeof given === "function") return undefined;
  if (typeof given !== "object" || given === null) return `is ${String(given)}; allowed is ${allowed}.`;
  const { takes, times, fails, ...rest } = given as Readonly<Record<string, unknown>>;
  const strange = Object.keys(rest).find((key) => key !== "returns");
  if (strange !== undefined) return `says ${JSON.stringify(strange)}; allowed is ${allowed}, with takes and times.`;
  if ("returns" in given && "fails" in given) return "says both returns and fails; give it one of them.";
  if (!("returns" in given) && !("fails" in given) && takes === undefined)
    return `says nothing; allowed is ${allowed}.`;
  if ("fails" in given && !(fails instanceof Error)) return `fails is ${String(fails)}; it must be an Error.`;
  if (takes !== undefined && parseDuration(takes) === undefined)
    return `takes is ${JSON.stringify(takes)}; allowed is ${durationForm}.`;
  if (times !== undefined && !(Number.isInteger(times) && (times as number) > 0))
    return `times is ${JSON.stringify(times)}; allowed is a whole number from 1.`;
  return undefined;
}

function compile(given: AnyMockedCode, wait: Wait): CompiledMock {
  if (typeof given === "function") return (context, _own, call) => call(() => given(context));
  const { takes, times = Number.POSITIVE_INFINITY } = given;
  const takesMs = parseDuration(takes) ?? 0;
  const callsOf = new Map<string, number>();
  return async (context, own) => {
    // The key names the step in its run, or the item of a map.
    const calls = (callsOf.get(context.idempotencyKey) ?? 0) + 1;
    callsOf.set(context.idempotencyKey, calls);
    if (calls > times) return own();
    if (takesMs > 0) await wait(takesMs, context.signal);
    if ("fails" in given) throw given.fails;
    return "returns" in given ? given.returns : own();
  };
}
