/** Pawl in a CDK app: `new Pawl(this, "Orders", { entry: "worker.ts", workflows: [order] })`. */

export type { ApiProps, HttpApi, JwtAuth } from "./http-api.ts";
export type { AlarmOptions } from "./monitoring.ts";
export { Pawl, type PawlProps, type RunMetricOptions } from "./pawl.ts";
export type { StartTargetOptions } from "./start-target.ts";
export type { TaskQueueProps } from "./task-queue.ts";
