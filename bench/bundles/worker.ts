// A stack with the smallest workflow: what `npm run bench:cold-start` loads.
import { workflow } from "pawl";
import { createHandlers } from "pawl/lambda";

const hello = workflow("hello", {}, (w) => w.step("greet", { run: () => "hello" }));

export const { worker, api, deadLetters, audit, lifecycle } = createHandlers({ workflows: [hello] });
