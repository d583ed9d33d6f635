// Hunts: children and maps that the command line does not tell of.
import { expect, test } from "vitest";
import { viewWorkflow } from "../../lib/api/workflow-view.ts";
import { runText, workflowsText } from "../../lib/cli/run-text.ts";
import { createEngine, workflow } from "../../lib/index.ts";

const part = workflow("part", {}, (w) => w.step("a", { run: () => 1 }));
const whole = workflow("whole", {}, (w) => {
  const one = w.child("one", { workflow: part, whenParentEnds: "leave" });
  const two = w.child("two", { workflow: part, after: [one] });
  const each = w.map("each", { after: [two], each: part, items: () => [] });
  w.map("some", { after: [each], items: () => [1], run: () => 1, concurrency: 50, toleratedFailures: "5%" });
});

test("a workflow is shown with what its children and maps run", () => {
  expect(
    workflowsText([viewWorkflow(whole)])
      .split("\n")
      .slice(1),
  ).toEqual([
    "  one   child, a run of part, left alone when this run ends",
    "  two   child, a run of part; after one",
    "  each  map to runs of part; after two",
    "  some  map, 50 at a time, up to 5% may fail; after each",
  ]);
});

test("a run is shown with the runs that it has started, and those with their parent", async () => {
  const engine = await createEngine({ workflows: [whole] });
  try {
    await engine.start(whole, { runId: "w" });
    expect(runText(await engine.waitForEnd("w"))).toMatch(/ {2}one {3}succeeded {2}1 +0\.0s {2}run w~one\n/);
    expect(runText(await engine.waitForEnd("w~one"))).toContain("\nparent     w (step one)\n");
  } finally {
    await engine.stop();
  }
});
