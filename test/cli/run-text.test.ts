// Hunts: a run that waits, or a workflow that is limited, without a word about it.
import { expect, test } from "vitest";
import * as z from "zod";
import { viewWorkflow } from "../../lib/api/workflow-view.ts";
import { runText, workflowsText } from "../../lib/cli/run-text.ts";
import { type RunView, workflow } from "../../lib/index.ts";

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
