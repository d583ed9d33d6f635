/** The workflows that some workflows bring along: those that they start as children, and what those start. */
import type { Workflow } from "./workflow.ts";

/**
 * By name, the given ones first.
 *
 * @throws {TypeError} when two workflows share a name
 */
export function reachableWorkflows(workflows: readonly Workflow[]): ReadonlyMap<string, Workflow> {
  const byName = new Map<string, Workflow>();
  for (const workflow of workflows) {
    if (byName.has(workflow.name)) {
      throw new TypeError(`Two workflows are named "${workflow.name}". Names must differ: rename one of them.`);
    }
    byName.set(workflow.name, workflow);
  }
  for (const workflow of workflows) addChildren(workflow, byName);
  return byName;
}

function addChildren(workflow: Workflow, byName: Map<string, Workflow>): void {
  for (const [id, code] of workflow.code) {
    const starts = code.kind === "map" ? code.item : code;
    if (starts.kind !== "child") continue;
    const child = starts.workflow();
    const known = byName.get(child.name);
    if (known === child) continue;
    if (known !== undefined) {
      const message = `Step "${id}" of workflow "${workflow.name}" starts a workflow named "${child.name}", and there is another one of that name. Names must differ: rename one of them.`;
      throw new TypeError(message);
    }
    byName.set(child.name, child);
    addChildren(child, byName);
  }
}
