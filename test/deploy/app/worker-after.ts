import { createHandlers } from "pawl/lambda";
import * as workflows from "./after.ts";

export const { worker, api, deadLetters, lifecycle } = createHandlers({ workflows: Object.values(workflows) });
export const audit = async () => ({ stub: true });
