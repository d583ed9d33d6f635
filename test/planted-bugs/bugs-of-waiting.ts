/** Signals, times, task tokens and questions: mistakes about steps that wait without a worker. */
import type { PlantedBug } from "./planted-bug.ts";

export const bugsOfWaiting: readonly PlantedBug[] = [
  {
    name: "a signal that comes before its step waits is dropped",
    breaks: "R6",
    file: "lib/engine/waiting.ts",
    edits: [[`signals[index] = signal;`, `signals[index] = { id: signal.id };`]],
    seeds: 520,
  },
  {
    name: "a second signal replaces the first",
    breaks: "R6",
    file: "lib/engine/waiting.ts",
    edits: [
      [
        `if (sent !== undefined)
    return sent.id === signal.id`,
        `if (sent !== undefined && sent.id === signal.id)
    return sent.id === signal.id`,
      ],
      [`const unsent = [{ field: field.signal(index), is: "absent" } as const];`, `const unsent: [] = [];`],
    ],
    seeds: 1600,
  },
  {
    name: "a step ends its wait with a signal and leaves the signal there",
    breaks: "R6",
    file: "lib/engine/commit.ts",
    edits: [[`signals[index] = { id: signal.id };`, ``]],
    seeds: 1600,
  },
  {
    name: "the timer of a wait is not sent",
    breaks: "R5",
    file: "lib/engine/due.ts",
    edits: [[`return send(state.attempt, state.wakeAtMs, state.wakeAtMs);`, `return undefined;`]],
    seeds: 50,
  },
  {
    name: "a timer ends the wait whatever time it waits for now",
    breaks: "R7",
    file: "lib/engine/claim.ts",
    edits: [
      [
        `if (step.wakeAtMs === undefined || message.wakeAtMs !== step.wakeAtMs) return undefined;`,
        `if (step.wakeAtMs === undefined) return undefined;`,
      ],
    ],
    seeds: 54,
  },
  {
    name: "an answer does not use its token up",
    breaks: "R6",
    file: "lib/engine/callback.ts",
    edits: [[`transitionTo(run, { ...next, tokens: withAt(next.tokens, step, id) })`, `transitionTo(run, next)`]],
    seeds: 50,
  },
  {
    name: "an attempt that takes over leaves the token of the lost one valid",
    breaks: "R7",
    file: "lib/engine/claim.ts",
    edits: [
      [`tokenHash === undefined ? next : { ...next, tokens: withAt(run.tokens, message.step, tokenHash) };`, `next;`],
    ],
    seeds: 520,
  },
  {
    name: "a second answer to a question counts as well",
    breaks: "R6",
    file: "lib/engine/interrupt.ts",
    edits: [
      [
        `if (asked?.pending !== questionId) return { kind: "refused", because: "not_pending" };`,
        `if (asked === undefined) return { kind: "refused", because: "not_pending" };`,
      ],
      [
        `if (step?.status !== "waiting" || !allowsStepMove("answer", run.status, step.status)) {`,
        `if (step?.status !== "waiting" && step?.status !== "backing_off") {`,
      ],
    ],
    seeds: 120,
  },
  {
    name: "an answer puts the answers before it aside",
    breaks: "R6",
    file: "lib/engine/interrupt.ts",
    edits: [[`{ answers: [...asked.answers, id] }`, `{ answers: [id] }`]],
    seeds: 50,
  },
  {
    name: "a question uses an attempt up",
    breaks: "R3",
    file: "lib/engine/commit.ts",
    edits: [
      [
        `return { status: "waiting", attempt: step.attempt - 1, sinceMs: nowMs, ...acted(mayHaveActed) };`,
        `return { status: "waiting", attempt: step.attempt, sinceMs: nowMs, ...acted(mayHaveActed) };`,
      ],
    ],
    seeds: 50,
  },
  {
    name: "an answer to a question is written before it is armed",
    breaks: "R5",
    file: "lib/runtime/answers.ts",
    edits: [[`  await queue.send([nudge(graph, run, clock.now())]);\n`, ``]],
    seeds: 1500,
  },
  {
    name: "an answer by a token is written before it is armed",
    breaks: "R5",
    file: "lib/runtime/callbacks.ts",
    edits: [[`    await queue.send([nudge(graph, image.run, clock.now())]);\n`, ``]],
    seeds: 7100,
  },
];
