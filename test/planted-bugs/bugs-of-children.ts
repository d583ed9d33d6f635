/** Children and maps: mistakes about runs that steps of other runs start. */
import type { PlantedBug } from "./planted-bug.ts";

export const bugsOfChildren: readonly PlantedBug[] = [
  {
    name: "a child that ends does not tell its parent",
    breaks: "R5",
    file: "lib/engine/due.ts",
    edits: [[`[dueSlot(graph, run, nowMs), noticeToParent(run, nowMs)]`, `[dueSlot(graph, run, nowMs)]`]],
    seeds: 58,
  },
  {
    name: "children go on when their parent ends",
    breaks: "R5",
    file: "lib/engine/due.ts",
    edits: [[`messages.push(aboutChild("endChild", graph, run, index, nowMs));`, ``]],
    seeds: 11_000,
  },
  {
    name: "the end of a child counts for whatever attempt waits now",
    breaks: "R4",
    file: "lib/engine/child.ts",
    edits: [
      [
        `return child.parent.epoch === parent.epoch && child.parent.attempt === state.attempt;`,
        `return child.parent.epoch <= parent.epoch;`,
      ],
    ],
    seeds: 6900,
  },
  {
    name: "a redriven parent does not put its link into the child that it redrives",
    breaks: "R5",
    file: "lib/engine/child.ts",
    edits: [
      [`const set = { ...transition.set, [field.parent]: encodeLink(parent) };`, `const set = { ...transition.set };`],
    ],
    seeds: 1300,
  },
  {
    name: "a lost attempt's child is not taken over by the next",
    breaks: "R5",
    file: "lib/engine/child.ts",
    edits: [
      [
        `if (!isOlder && (child.parent.epoch > parent.epoch || child.parent.attempt >= parent.attempt)) {`,
        `if (!isOlder) {`,
      ],
    ],
    seeds: 2300,
  },
  {
    name: "a child that ended before its parent waited for it is not looked at",
    breaks: "R5",
    file: "lib/engine/child.ts",
    edits: [
      [
        `if (child.status === "succeeded" || !isOlder) return { kind: "ended" };`,
        `if (child.status === "succeeded" || !isOlder) return { kind: "waits" };`,
      ],
    ],
    seeds: 1400,
  },
  {
    name: "a child that is given up may still be started",
    breaks: "R4",
    file: "lib/runtime/child-messages.ts",
    edits: [
      [
        `await ports.store.update(childRunId(graph, image.run, index), bar(image.run.epoch));`,
        `{ applied: true, fields: undefined } as const;`,
      ],
    ],
    seeds: 5700,
  },
  {
    name: "a map has more items in flight than its concurrency",
    breaks: "R8",
    file: "lib/definition/shards.ts",
    edits: [
      [
        `afterSettled: lanes > 0 && at >= lanes ? [at - lanes] : [],`,
        `afterSettled: lanes > 0 && at > lanes ? [at - lanes] : [],`,
      ],
    ],
    seeds: 910,
  },
  {
    name: "a shard gives all its lanes to each of its shards",
    breaks: "R8",
    file: "lib/definition/shards.ts",
    edits: [[`Math.floor(lanes / inFlight) + (lane < lanes % inFlight ? 1 : 0)`, `lanes`]],
    seeds: 910,
  },
];
