/** The graphs whose bill is told. */
import type { StepRef } from "../lib/definition/step.ts";
import { type Workflow, workflow } from "../lib/definition/workflow.ts";
import { chainOf } from "./chain.ts";

/** JSON of so many bytes. */
const text = (bytes: number): string => "x".repeat(bytes - 2);

/** @param outputBytes of each step, as JSON; so in all graphs */
export function chain(steps: number, outputBytes: number): Workflow {
  return chainOf(steps, () => text(outputBytes));
}

/** The same, of steps that begin without a claim. */
export function idempotentChain(steps: number, outputBytes: number): Workflow {
  return chainOf(steps, () => text(outputBytes), { idempotent: true });
}

export function diamond(outputBytes: number): Workflow {
  return workflow("diamond", {}, (w) => {
    const first = w.step("first", { run: () => text(outputBytes) });
    const left = w.step("left", { after: [first], run: () => text(outputBytes) });
    const right = w.step("right", { after: [first], run: () => text(outputBytes) });
    return w.step("last", { after: [left, right], run: () => text(outputBytes) });
  });
}

/** One step, so many after it, and one after all of them. */
export function fan(width: number, outputBytes: number): Workflow {
  return workflow("fan", {}, (w) => {
    const first = w.step("first", { run: () => text(outputBytes) });
    const all = Array.from({ length: width }, (_, index) =>
      w.step(`s${index}`, { after: [first], run: () => text(outputBytes) }),
    );
    return w.step("last", { afterSettled: all, run: () => text(outputBytes) });
  });
}

export function map(items: number, outputBytes: number): Workflow {
  return workflow("map", {}, (w) =>
    w.map("items", { items: () => Array.from({ length: items }, (_, index) => index), run: () => text(outputBytes) }),
  );
}

/** A chain of ten, each step of which fails twice. */
export function retries(outputBytes: number): Workflow {
  return chainOf(10, ({ attempt }) => {
    if (attempt < 3) throw new Error("not yet");
    return text(outputBytes);
  });
}

/** Five times a signal and a step. */
export function signals(outputBytes: number): Workflow {
  return workflow("signals", {}, (w) => {
    let last: StepRef<string, string> | undefined;
    for (let index = 0; index < 5; index++) {
      const signal = w.signal(`go${index}`, { after: last === undefined ? [] : [last] });
      last = w.step(`s${index}`, { after: [signal], run: () => text(outputBytes) });
    }
    return last;
  });
}
