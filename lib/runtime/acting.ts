/** One act of a bulk operation on one run: what is to be done, and what came of it. */
import type { OperationAction } from "./operations.ts";

export type Action =
  | { readonly kind: Exclude<OperationAction, "signal"> }
  | { readonly kind: "signal"; readonly name: string; readonly payload?: unknown };

/** `done`: by this operation, now or before. `changed`: the run is not as it was selected, and was left alone. */
export type Acted = "done" | "changed";

/** @param kind of the last verdict: a write that was wanted has been made */
export function actedBy(kind: string): Acted {
  return kind === "changed" ? "changed" : "done";
}
