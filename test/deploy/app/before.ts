// What is deployed first.
export { before as evolving } from "./evolving.ts";
export * from "./workflows.ts";
