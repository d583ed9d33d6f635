/** Everything that the simulator must see. */
import { bugsOfChildren } from "./bugs-of-children.ts";
import { bugsOfDelivery } from "./bugs-of-delivery.ts";
import { bugsOfFlow } from "./bugs-of-flow.ts";
import { bugsOfLists } from "./bugs-of-lists.ts";
import { bugsOfOperating } from "./bugs-of-operating.ts";
import { bugsOfUndoing } from "./bugs-of-undoing.ts";
import { bugsOfWaiting } from "./bugs-of-waiting.ts";
import type { PlantedBug } from "./planted-bug.ts";

export const plantedBugs: readonly PlantedBug[] = [
  ...bugsOfDelivery,
  ...bugsOfWaiting,
  ...bugsOfChildren,
  ...bugsOfUndoing,
  ...bugsOfFlow,
  ...bugsOfOperating,
  ...bugsOfLists,
];
