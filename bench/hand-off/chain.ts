import { type StepRef, workflow } from "pawl";
import { type Ran, run } from "./code.ts";

/** Steps of a run, and hops of a chain of the floor. */
export const hops = 10;

export const chain = workflow("chain", {}, (w) => {
  let last: StepRef<string, Ran> | undefined;
  for (let index = 0; index < hops; index++) {
    last = w.step(`hop${index}`, { after: last === undefined ? [] : [last], run });
  }
  return last;
});
