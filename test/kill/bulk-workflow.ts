// One step, that has failed, and works now.
import { workflow } from "../../lib/definition/workflow.ts";

export const mended = workflow("mended", {}, (w) =>
  w.step("work", { retry: { maxAttempts: 1_000 }, run: ({ runId }) => runId }),
);

/** Of the failure that the operation is about. */
export const fingerprint = "a1b2c3d4";
export const operationId = "mend-them-all";
