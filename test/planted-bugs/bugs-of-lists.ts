/** Events, lists and counts: mistakes about what follows from the changes of runs. */
import type { PlantedBug } from "./planted-bug.ts";

export const bugsOfLists: readonly PlantedBug[] = [
  {
    name: "a redrive is not counted as a change of the status",
    breaks: "R9",
    file: "lib/engine/operate.ts",
    edits: [[`    add: { [field.changes]: 1 },\n`, ``]],
    seeds: 88,
  },
  {
    name: "a pause is not counted as a change of the status",
    breaks: "R9",
    file: "lib/engine/transition-to.ts",
    edits: [
      [`...(run.status === next.status ? {} :`, `...(run.status === next.status || next.status === "paused" ? {} :`],
    ],
    seeds: 110,
  },
  {
    name: "a run is counted in each status that it has had",
    breaks: "R9",
    file: "lib/engine/projection.ts",
    edits: [[`  for (const count of before.counts) add(count, -1);\n`, ``]],
    seeds: 50,
  },
  {
    name: "two changes of one run have the same id",
    breaks: "R9",
    file: "lib/aws/projection-writes.ts",
    edits: [["`${runId} ${createdAtMs} ${changes}${", "`${runId} ${createdAtMs}${"]],
    seeds: 50,
  },
  {
    name: "of several writes to one entry of a list the first counts",
    breaks: "R9",
    file: "lib/aws/projection-writes.ts",
    edits: [[`byKey.set(id, { ...write,`, `if (!byKey.has(id)) byKey.set(id, { ...write,`]],
    seeds: 68,
  },
  {
    name: "an entry that stays is written first and deleted then",
    breaks: "R9",
    file: "lib/aws/projection-writes.ts",
    edits: [
      [
        `[...entryWrites(before, former, false), ...entryWrites(after, next, true)]`,
        `[...entryWrites(after, next, true), ...entryWrites(before, former, false)]`,
      ],
    ],
    seeds: 110,
  },
  {
    name: "a list keeps entries of runs that have left it",
    breaks: "R9",
    file: "lib/aws/projection-writes.ts",
    edits: [
      [`[...entryWrites(before, former, false), ...entryWrites(after, next, true)]`, `entryWrites(after, next, true)`],
    ],
    seeds: 76,
  },
];
