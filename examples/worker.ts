/** What AWS runs: one file, whose exports are the handlers of the functions that `new Pawl(…)` makes. */
import { createHandlers } from "pawl/lambda";
import { workflows } from "./workflows.ts";

export const { worker, api, deadLetters, audit, lifecycle } = createHandlers({ workflows });
