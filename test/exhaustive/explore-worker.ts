// One of the threads that explore: takes a job, says what came of it, and takes the next.
import { parentPort } from "node:worker_threads";
import { exploreJob } from "./explore-job.ts";
import type { Job } from "./jobs.ts";

// Errors are part of what is explored, and nobody reads their stacks here: they cost time.
Error.stackTraceLimit = 0;

parentPort?.on("message", ({ job, states }: { readonly job: Job; readonly states: number }) => {
  exploreJob(job, states).then(
    (explored) => parentPort?.postMessage(explored),
    // To the thread that waits for the answer, as its `error`.
    (error: unknown) =>
      setImmediate(() => {
        throw error;
      }),
  );
});
