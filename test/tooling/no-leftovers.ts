/** Runs before every test file: a test that leaves work behind fails and says what it is, and so does a file. */
import { afterAll, aroundEach } from "vitest";
import { leftBy, onBehalfOf } from "./work-tracker.ts";

aroundEach(async (runTest, { task }) => {
  const owner = { name: task.name, hasEnded: false };
  await onBehalfOf(owner, runTest);
  const left = await leftBy(owner);
  // One that failed may not have come to its end.
  if (task.result?.state !== "fail") refuse(left);
});

// The first to be registered is the last to be called.
afterAll(async () => {
  refuse(await leftBy(undefined));
});

function refuse(left: readonly string[]): void {
  if (left.length === 0) return;
  const message =
    "Work was left behind. Await it, clear it or close it before the end of the test, or of the file when it is begun outside of tests:";
  throw new Error([message, ...left].join("\n- "));
}
