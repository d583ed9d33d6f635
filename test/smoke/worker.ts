import { createHandlers } from "pawl/lambda";
import { chain, timer } from "./workflows.ts";

export const { worker, api, deadLetters, audit, lifecycle } = createHandlers({ workflows: [chain, timer] });
