/** Dependencies that can be written but never be met: such a step would wait, or be skipped, in every run. */
import type { DefinitionFault } from "./errors.ts";
import { dependencyKinds, type Graph, type GraphStep } from "./graph.ts";
import { shown } from "./shown.ts";

export function findContradictions(graph: Graph): DefinitionFault[] {
  const faults: DefinitionFault[] = [];
  const idOf = (index: number): string => shown(graph.steps[index]?.id);
  const undone = graph.steps.findIndex(({ compensate }) => compensate !== undefined);
  /** For each step, the steps that cannot have failed once it may begin. */
  const cannotHaveFailed: Set<number>[] = [];

  graph.steps.forEach((step, index) => {
    const at = `step ${idOf(index)}`;
    // The only one of afterAny is needed just as one of after.
    const needed = step.afterAny.length === 1 ? [...step.after, ...step.afterAny] : step.after;
    cannotHaveFailed[index] = new Set(
      needed.flatMap((dependency) => [dependency, ...(cannotHaveFailed[dependency] ?? [])]),
    );
    for (const [position, kind] of dependencyKinds.entries()) {
      for (const otherKind of dependencyKinds.slice(position + 1)) {
        for (const dependency of step[kind].filter((candidate) => step[otherKind].includes(candidate))) {
          faults.push({ at, message: `names ${idOf(dependency)} in both ${kind} and ${otherKind}; keep one of them.` });
        }
      }
    }
    for (const dependency of step.afterFailed) {
      if (graph.steps[dependency]?.onFailure === "fail") {
        const message = `waits for the failure of ${idOf(dependency)}, which ends the run; give ${idOf(dependency)} onFailure: "continue".`;
        faults.push({ at: `${at}: afterFailed`, message });
      }
    }
    if (isIdempotent(step) && undone !== -1) {
      const message = `cannot be used where step ${idOf(undone)} is undone: nothing is undone while a step runs, and nobody would know that this one does; leave it out.`;
      faults.push({ at: `${at}: idempotent`, message });
    }
    const required = step.afterFailed.filter((dependency) => cannotHaveFailed[index]?.has(dependency));
    const isOwn = required.every((dependency) => step.after.includes(dependency));
    if (required.length > 0 && required.length === step.afterFailed.length && !isOwn) {
      const message = `can never begin: after needs ${required.map(idOf).join(", ")} to have succeeded or been skipped.`;
      faults.push({ at: `${at}: afterFailed`, message });
    }
  });
  return faults;
}

function isIdempotent(step: GraphStep): boolean {
  const work = step.kind === "map" ? step.item : step;
  return work.kind === "step" && work.idempotent === true;
}
