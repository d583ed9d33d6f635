// Hunts: children and maps, a run that waits, or a workflow that is limited, without a word about it.
import { expect, test } from "vitest";
import * as z from "zod";
import { viewWorkflow } from "../../lib/api/workflow-view.ts";
import { runText, workflowsText } from "../../lib/cli/run-text.ts";
import { createEngine, type RunView, workflow } from "../../lib/index.ts";

const run: RunView = {
  runId: "r",
  workflow: "import",
  fingerprint: "f",
  status: "running",
  steps: {},
  redrives: 0,
  createdAt: "2026-11-21T03:15:22.521Z",
};

test.each([
  [{ key: "acme", ahead: 2 }, "waits      for its turn among the runs of acme, behind 2 others"],
  [{ ahead: 1 }, "waits      for its turn, behind 1 other"],
  [{ key: "a\nb", ahead: 0 }, "waits      for its turn among the runs of a b"],
  [{}, "waits      for its turn"],
])("a run that waits for its turn: %j", (waitsForTurn, line) => {
  expect(runText({ ...run, waitsForTurn }).split("\n")).toContain(line);
});

test("a run that does not wait says nothing of turns", () => {
  expect(runText(run)).not.toContain("turn");
});

test("the limits of a workflow and its steps", () => {
  const limited = workflow(
    "import",
    { input: z.string(), concurrency: { key: ({ input }) => input, limit: 1 } },
    (w) => {
      const a = w.step("a", { rateLimit: { key: "api", limit: 10, per: "1s" }, run: () => 1 });
      w.step("b", { after: [a], rateLimit: { key: ({ input }) => input, limit: 1, per: "90s" }, run: () => 1 });
    },
  );
  const [head, a, b] = workflowsText([viewWorkflow(limited)]).split("\n");
  expect(head).toBe(`import  ${limited.fingerprint}  takes an input, 1 run at a time for each key`);
  expect(a).toBe("  a  at most 10 per 1s");
  expect(b).toBe("  b  after a; at most 1 per 1.5m for each key");
});

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
