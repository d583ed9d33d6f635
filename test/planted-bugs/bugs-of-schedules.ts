/** Mistakes that only a rare schedule shows, and that the exploration of all schedules must see. */
import type { ExploredBug } from "./planted-bug.ts";

export const bugsOfSchedules: readonly ExploredBug[] = [
  {
    name: "a message is acknowledged after a commit that the fence has refused",
    breaks: "R5",
    file: "lib/runtime/worker.ts",
    edits: [[`return { kind: "redeliver", delayMs: Math.min(waitMs, limits.visibilityMs) };`, `return acknowledge;`]],
    explored: { graph: "one", faults: "crashes=1,stalls=1" },
  },
  {
    name: "a step begins to wait although its signal came just before",
    breaks: "R6",
    file: "lib/engine/commit.ts",
    edits: [[`transitionTo(run, next, [unsent])`, `transitionTo(run, next)`]],
    explored: { graph: "signal", faults: "crashes=1" },
  },
  {
    name: "a signal is kept for a step that began to wait just before",
    breaks: "R6",
    file: "lib/engine/waiting.ts",
    edits: [[`[...unsent, stepIs(index, step)]`, `unsent`]],
    explored: { graph: "signal", faults: "crashes=1" },
  },
  {
    name: "the message that arms a change from outside comes at once",
    breaks: "R5",
    file: "lib/engine/due.ts",
    edits: [[`delayMs: number = limits.nudgeDelayMs,`, `delayMs: number = 0,`]],
    explored: { graph: "redrive-lost", faults: "crashes=2" },
  },
  {
    name: "a signal is written before it is armed",
    breaks: "R5",
    file: "lib/runtime/send-signal.ts",
    edits: [[`  await queue.send([nudge(graph, run, clock.now())]);\n`, ``]],
    explored: { graph: "signal", faults: "crashes=1" },
  },
  {
    name: "the end of a child is taken, and what follows is not sent again",
    breaks: "R6",
    file: "lib/runtime/child-messages.ts",
    edits: [
      [
        `if (state.status !== "cancelled") await advanceBecauseOf(ports, parent.graph, parent.image, message.step);`,
        ``,
      ],
    ],
    explored: { graph: "child", faults: "crashes=1" },
  },
  {
    name: "an attempt without a claim relies on nothing that was before it",
    breaks: "R7",
    file: "lib/engine/unclaimed.ts",
    edits: [
      [
        `if (unclaimed === undefined || !isAsBefore(run, mine.step, unclaimed)) return undefined;`,
        `if (unclaimed === undefined) return undefined;`,
      ],
    ],
    explored: { graph: "idempotent-retry", faults: "duplicates=1,stalls=1" },
  },
];
