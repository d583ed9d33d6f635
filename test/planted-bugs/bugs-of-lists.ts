/** Events, lists and counts: mistakes about what follows from the changes of runs. */
import type { PlantedBug } from "./planted-bug.ts";

export const bugsOfLists: readonly PlantedBug[] = [
  {
    name: "a redrive is not counted as a change of the status",
    breaks: "R9",
    file: "lib/engine/operate.ts",
    edits: [[`    add: { [field.changes]: 1 },\n`, ``]],
    seeds: 1500,
  },
];
