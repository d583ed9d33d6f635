/** From an attempt of a step to the run that is its work: started once, and found again by every later attempt. */
import type { ChildCode } from "../definition/child.ts";
import { FatalError } from "../definition/errors.ts";
import type { GraphStep } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import type { Workflow } from "../definition/workflow.ts";
import { adopt, childError, childRunId, linkTo, nestingOf } from "../engine/child.ts";
import type { Outcome } from "../engine/commit.ts";
import type { RunError, RunState } from "../engine/run-state.ts";
import { nothing } from "../engine/waiting.ts";
import { advanceAll } from "./effects.ts";
import { PawlError } from "./errors.ts";
import { change, type Image } from "./image.ts";
import type { StepWork } from "./perform-step.ts";
import type { RunStore } from "./ports.ts";
import { hashPayload, parsePayload } from "./request.ts";
import { startRun } from "./start-run.ts";
import { storeOutput } from "./step-data.ts";

type ChildStarted = Outcome | { readonly kind: "threw"; readonly error: unknown };

export async function startChild(
  work: StepWork,
  code: ChildCode,
  step: GraphStep,
  value: unknown,
): Promise<ChildStarted> {
  const { ports, definitions, graph, image, mine } = work;
  const workflow = code.workflow();
  const runId = childRunId(image.run.runId, step);
  if (nestingOf(runId) > limits.nesting || runId.length > limits.derivedRunIdLength) {
    return { kind: "threw", error: new NestedTooDeep(runId) };
  }
  const parsed = await parseInput(workflow, value);
  if (typeof parsed !== "string") return { kind: "threw", error: parsed.error };
  const wanted = {
    workflow: workflow.name,
    inputHash: hashPayload(parsed),
    parent: linkTo(graph, image.run, mine.step, mine.attempt),
  };
  const { existing } = await startRun(ports, {
    ...wanted,
    runId,
    graph: workflow.graph,
    fingerprint: workflow.fingerprint,
    json: parsed,
    keepGraph: () => definitions.keep(workflow),
  });
  return existing === undefined ? { kind: "waits" } : adoptChild(work, step, existing, wanted);
}

async function parseInput(workflow: Workflow, value: unknown): Promise<string | { readonly error: unknown }> {
  try {
    return await parsePayload(workflow.inputSchema, value, {
      code: "invalid_input",
      what: "input",
      name: `The input of workflow "${workflow.name}"`,
      none: `Workflow "${workflow.name}" takes no input; leave the child's input out.`,
    });
  } catch (error) {
    return { error: error instanceof PawlError ? new InvalidInput(error.message) : error };
  }
}

/** Goes on with the child that a former attempt has started; its worker may have died at any moment since. */
async function adoptChild(
  work: StepWork,
  step: GraphStep,
  existing: Image,
  wanted: Parameters<typeof adopt>[2],
): Promise<ChildStarted> {
  const { ports, definitions } = work;
  const { runId, workflow, fingerprint } = existing.run;
  const graph = await definitions.graph(workflow, fingerprint);
  if (graph === undefined) throw new Error(`The graph ${fingerprint} of run ${runId} is neither in code nor store.`);
  const decide = (run: RunState): ReturnType<typeof adopt> => adopt(graph, run, wanted, ports.clock.now());
  const child = await change(ports.store, existing, (run) => {
    const verdict = decide(run);
    return verdict.kind === "write" ? verdict.transition : undefined;
  });
  switch (decide(child.run).kind) {
    case "write":
    case "waits":
      await advanceAll(ports, graph, child);
      return { kind: "waits" };
    case "conflict":
      return { kind: "threw", error: new ChildConflict(child.run, wanted.workflow) };
    case "exhausted":
      return { kind: "threw", error: new ChildConflict(child.run, wanted.workflow, limits.redrives) };
    case "ended": {
      if (child.run.status !== "succeeded") {
        return { kind: "threw", error: new ChildDidNotSucceed(childError(step, child.run)) };
      }
      const json = await childOutput(ports.store, graph, child.run);
      return { kind: "succeeded", output: await storeOutput(ports.store, work.graph, work.image, work.mine, json) };
    }
  }
}

/** The output of a run that has succeeded, as JSON. */
export async function childOutput(
  store: RunStore,
  graph: { readonly output?: number },
  child: RunState,
): Promise<string> {
  const output = graph.output === undefined ? nothing : (child.outputs[graph.output] ?? nothing);
  if (!("key" in output)) return output.json;
  const json = (await store.getPayloads(child.runId, [output.key])).get(output.key);
  if (json !== undefined) return json;
  throw new Error(`Run ${child.runId} refers to the payload ${output.key}, which is not in the store.`);
}

class NestedTooDeep extends FatalError {
  override readonly name = "NestedTooDeep";

  constructor(runId: string) {
    const level = nestingOf(runId);
    super(
      `Run ${runId} would be ${level} levels below the run that was started first (${runId.length} characters long); allowed are ${limits.nesting} levels and ${limits.derivedRunIdLength} characters. End the recursion earlier, or start that run with a client.`,
    );
  }
}

class InvalidInput extends FatalError {
  override readonly name = "InvalidInput";
}

class ChildConflict extends FatalError {
  override readonly name = "ChildConflict";

  constructor({ runId, workflow, epoch }: RunState, wanted: string, redrives?: number) {
    const what =
      redrives !== undefined
        ? `has been redriven ${epoch} times, and ${redrives} are allowed`
        : workflow === wanted
          ? "was started before with another input; input must give the same for the same outputs"
          : `was started before as a run of "${workflow}", and this step now starts "${wanted}"`;
    super(`Run ${runId} ${what}. Start a new run of the parent.`);
  }
}

class ChildDidNotSucceed extends FatalError {
  override readonly name: string;

  constructor({ name, message }: RunError) {
    super(message);
    this.name = name;
  }
}
