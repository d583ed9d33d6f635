// What is deployed over it.
export { after as evolving } from "./evolving.ts";
export * from "./workflows.ts";
