import { createHandlers } from "pawl/lambda";
import * as workflows from "./before.ts";

export const { worker, api, deadLetters, audit, lifecycle } = createHandlers({ workflows: Object.values(workflows) });
