/**
 * Workflows whose code is called through somebody who watches it, or replaces it. Their graphs stay as they are, so that
 * retries, timeouts, conditions and all that follows from the graph are those of the real workflow.
 */
import type { ChildCode } from "../definition/child.ts";
import type { GraphStep } from "../definition/graph.ts";
import type { ItemContext, MapCode } from "../definition/map.ts";
import type { AttemptContext, StepCode } from "../definition/step.ts";
import type { Workflow } from "../definition/workflow.ts";

/** What the code of an attempt is given, whatever it is an attempt of. */
export type AnyContext = AttemptContext<unknown, unknown, string> | ItemContext<unknown>;

/** What of a step's code runs as an attempt. */
export type CodePart = "run" | "compensate";

/** Where a call of code comes from. */
export interface CodeSite {
  readonly workflow: string;
  readonly step: string;
  readonly part: CodePart;
  /** Limit of one attempt. */
  readonly timeoutMs: number;
}

/** Through whom code is called. */
export interface Watcher {
  /** Of an attempt: calls `own` with the context, or does something else instead. */
  attempt(site: CodeSite, context: AnyContext, own: (context: AnyContext) => unknown): unknown;
  /** Of what says only what a step is to do: the input of a child, the items of a map. */
  view(timeoutMs: number, own: () => unknown): unknown;
}

/** The same workflows, and those that they start as children, with their code called through the watcher. */
export function instrument(workflows: readonly Workflow[], watcher: Watcher): readonly Workflow[] {
  const made = new Map<Workflow, Workflow>();
  const watch = (workflow: Workflow): Workflow => {
    const known = made.get(workflow);
    if (known !== undefined) return known;
    const code = new Map<string, StepCode>();
    const watched: Workflow = Object.freeze({ ...workflow, code });
    // Before its code is looked at: a workflow may start itself.
    made.set(workflow, watched);
    for (const step of workflow.graph.steps) {
      const own = workflow.code.get(step.id);
      if (own !== undefined) code.set(step.id, watchedCode(workflow.name, step, own, watcher, watch));
    }
    return watched;
  };
  return workflows.map(watch);
}

function watchedCode(
  workflow: string,
  step: GraphStep,
  own: StepCode,
  watcher: Watcher,
  watch: (workflow: Workflow) => Workflow,
): StepCode {
  const attemptOf = (part: CodePart, timeoutMs: number, code: (context: never) => unknown) => (context: AnyContext) =>
    watcher.attempt({ workflow, step: step.id, part, timeoutMs }, context, code as (context: AnyContext) => unknown);
  const { compensate } = own;
  const undo =
    compensate === undefined
      ? {}
      : {
          compensate: {
            ...compensate,
            run: attemptOf("compensate", step.compensate?.timeoutMs ?? step.timeoutMs, compensate.run),
          },
        };
  switch (own.kind) {
    case "step":
      return { ...own, ...undo, run: attemptOf("run", step.timeoutMs, own.run) };
    case "callback":
      return { ...own, ...undo, run: attemptOf("run", step.timeoutMs, own.run) };
    case "child": {
      const { input } = own;
      const asked: Pick<ChildCode, "input"> =
        input === undefined ? {} : { input: (view) => watcher.view(step.timeoutMs, () => input(view)) };
      return { ...own, ...undo, ...asked, workflow: () => watch(own.workflow()) };
    }
    case "map": {
      const { item, items } = own;
      const watched: MapCode["item"] =
        item.kind === "child"
          ? { kind: "child", workflow: () => watch(item.workflow()) }
          : { ...item, run: attemptOf("run", itemTimeoutMs(step), item.run) };
      return {
        ...own,
        ...undo,
        items: (view) => watcher.view(step.timeoutMs, () => items(view)),
        item: watched,
      };
    }
    case "signal":
    case "sleep":
    case "shard":
      return { ...own, ...undo };
  }
}

function itemTimeoutMs(step: GraphStep): number {
  return step.kind === "map" && step.item.kind === "step" ? step.item.timeoutMs : step.timeoutMs;
}
