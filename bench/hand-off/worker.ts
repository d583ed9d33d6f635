import { createHandlers } from "pawl/lambda";
import { chain } from "./chain.ts";

export const { worker, api, deadLetters, audit, lifecycle } = createHandlers({ workflows: [chain] });
