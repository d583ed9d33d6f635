/** Compensations: mistakes about what is undone, when and in which order. */
import type { PlantedBug } from "./planted-bug.ts";

export const bugsOfUndoing: readonly PlantedBug[] = [
  {
    name: "undoing begins before everything in flight has ended",
    breaks: "R6",
    file: "lib/engine/undo.ts",
    edits: [
      [
        `(step, index) => step?.status === "running" || (step?.status === "waiting" && endsWithParent(graph.steps[index])),`,
        `(step, index) => step?.status === "waiting" && endsWithParent(graph.steps[index]),`,
      ],
    ],
    seeds: 460,
  },
  {
    name: "undoing does not wait for a child that is being cancelled",
    breaks: "R6",
    file: "lib/engine/undo.ts",
    edits: [
      [
        `(step, index) => step?.status === "running" || (step?.status === "waiting" && endsWithParent(graph.steps[index])),`,
        `(step) => step?.status === "running",`,
      ],
      [
        `import { dependants, dependencies, endsWithParent, type Graph }`,
        `import { dependants, dependencies, type Graph }`,
      ],
    ],
    seeds: 630,
  },
  {
    name: "steps are undone in any order",
    breaks: "R6",
    file: "lib/engine/undo.ts",
    edits: [
      [
        `(dependants(graph)[index] ?? []).map((dependant) => remaining[dependant] ?? "clear");`,
        `(dependants(graph)[index] ?? []).map((): Progress => "clear");`,
      ],
    ],
    seeds: 650,
  },
  {
    name: "a step of which nobody knows whether it took effect is not undone",
    breaks: "R6",
    file: "lib/engine/undo.ts",
    edits: [
      [
        `return isOurs && (status === "succeeded" || status === "unknown");`,
        `return isOurs && status === "succeeded";`,
      ],
    ],
    seeds: 140,
  },
  {
    name: "the attempt that takes over forgets that the lost one may have taken effect",
    breaks: "R6",
    file: "lib/engine/claim.ts",
    edits: [
      [`claimed(step.attempt + 1, by, leavesDoubt(track, graphStep))`, `claimed(step.attempt + 1, by, undefined)`],
    ],
    seeds: 150,
  },
  {
    name: "an attempt that timed out is taken for one that did nothing",
    breaks: "R6",
    file: "lib/engine/commit.ts",
    edits: [[` || (failure.isCutOff === true && canBeUndone(track, graphStep));`, `;`]],
    seeds: 50,
  },
  {
    name: "the pause before the next attempt forgets that the one before may have taken effect",
    breaks: "R6",
    file: "lib/engine/commit.ts",
    edits: [
      [
        `return { status: "backing_off", attempt: step.attempt, wakeAtMs, ...acted(mayHaveActed) };`,
        `return { status: "backing_off", attempt: step.attempt, wakeAtMs };`,
      ],
    ],
    seeds: 50,
  },
  {
    name: "a step that pauses when its run unwinds is not undone although it may have taken effect",
    breaks: "R6",
    file: "lib/engine/acted.ts",
    edits: [[`const mayHaveActed = step.mayHaveActed === true || (isHandedOut`, `const mayHaveActed = (isHandedOut`]],
    seeds: 2900,
  },
  {
    name: "a redrive undoes once more what has been undone",
    breaks: "R6",
    file: "lib/engine/operate.ts",
    edits: [
      [`(undo?.status === "succeeded" ? [] : [field.undo(index)])`, `(undo === undefined ? [] : [field.undo(index)])`],
    ],
    seeds: 1800,
  },
  {
    name: "a redrive keeps what was built on a step that has been undone",
    breaks: "R6",
    file: "lib/engine/operate.ts",
    edits: [[`if (isUndone || isBuiltOn) anew.add(index);`, `if (isUndone) anew.add(index);`]],
    seeds: 1800,
  },
  {
    name: "what was undone is done again under its old idempotency key",
    breaks: "R6",
    file: "lib/engine/operate.ts",
    edits: [[`    set[field.generation(index)] = run.epoch + 1;\n`, ``]],
    seeds: 320,
  },
  {
    name: "a fork undoes what its original has done",
    breaks: "R6",
    file: "lib/engine/fork.ts",
    edits: [
      [
        `    if (graph.steps[index]?.compensate !== undefined) undos[index] = endedStep(notTried(nowMs), "skipped", nowMs);\n`,
        ``,
      ],
    ],
    seeds: 190,
  },
  {
    name: "the first step that is undone makes way for those before it only when its message comes again",
    breaks: "R5",
    file: "lib/engine/due.ts",
    edits: [[`new Set([cause, ...stepsBefore(graph, cause)])`, `new Set([cause])`]],
    seeds: 2400,
  },
  {
    name: "an undoing run that ends at its first look leaves a sibling at work",
    breaks: "R2",
    file: "lib/engine/settle.ts",
    edits: [
      [
        `: { ...settled, status: "unwinding", error, turnedAtMs: nowMs };`,
        `: endUnwinding(graph, { ...settled, status: "unwinding", error, turnedAtMs: nowMs }, nowMs);`,
      ],
    ],
    seeds: 1900,
  },
];
