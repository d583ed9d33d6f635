/**
 * Ids of children that never began, and under which nobody may start one any more: a step has ended without its child,
 * because the worker that was to start it was lost, and that worker may only have stood still. What came of it later would
 * act while what came before it is undone.
 *
 * There is no run under such an id, and nothing reads it as one. A later epoch of the parent may start the child all the
 * same: its attempts begin after the undoing.
 */
import { field } from "./codec.ts";
import type { ParentLink } from "./run-state.ts";
import type { Condition, Fields, Transition } from "./transition.ts";

/** Refused when there is a run, or the id is barred for this epoch already. */
export function bar(parentEpoch: number): Transition {
  return {
    guard: [noRun, { field: field.barred, is: "below", value: parentEpoch }],
    set: { [field.barred]: parentEpoch },
  };
}

/** Of a start. A run without a parent has an id that is never barred. */
export function isOpenFor(parent: ParentLink | undefined): readonly Condition[] {
  return parent === undefined ? [] : [{ field: field.barred, is: "below", value: parent.epoch }];
}

export const noRun: Condition = { field: field.status, is: "absent" };

/** What is stored under the id of a run: `undefined` when that is no run. For stores, which show nothing else to anybody. */
export function runIn(fields: Fields | undefined): Fields | undefined {
  return fields !== undefined && isBarred(fields) ? undefined : fields;
}

export function isBarred(fields: Fields): boolean {
  return fields[field.barred] !== undefined && fields[field.status] === undefined;
}
