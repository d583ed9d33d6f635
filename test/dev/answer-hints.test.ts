// Hunts: a command that answers another signal than the one waited for, does not parse, or is told twice.
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { answerHints, redriveHints } from "../../lib/dev/answer-hints.ts";
import type { NamedUpdate } from "../../lib/dev/run-feed.ts";
import type { RunState, StepState } from "../../lib/engine/run-state.ts";
import { workflow } from "../../lib/index.ts";

const url = "http://127.0.0.1:7070";
const waiting: StepState = { status: "waiting", attempt: 1, sinceMs: 0 };

const asks = workflow("asks", {}, (w) => {
  w.signal("go");
  w.signal("approval", { payload: z.object({ ok: z.boolean(), by: z.enum(["Ada's boss", "Ada"]) }) });
  w.signal("odd", { payload: z.string().regex(/^O-\d+$/) });
  w.sleep("nap", { duration: "1h" });
});

function update(
  steps: readonly (StepState | undefined)[],
  before: readonly (StepState | undefined)[] = [],
): NamedUpdate {
  const run = (states: RunState["steps"]): RunState => ({
    runId: "r-1",
    workflow: "asks",
    fingerprint: asks.fingerprint,
    status: "running",
    epoch: 0,
    changes: 1,
    input: { json: "" },
    inputHash: "h",
    steps: states,
    outputs: [],
    signals: [],
    undos: [],
    generations: [],
    createdAtMs: 0,
  });
  const { steps: nodes } = asks.graph;
  return {
    before: run(before),
    after: run(steps),
    stepIds: nodes.map(({ id }) => id),
    stepKinds: nodes.map(({ kind }) => kind),
    goesOn: false,
  };
}

test("each wait for a signal is told once, a sleep not at all", () => {
  expect(answerHints(update([waiting]), [asks], url)).toEqual(["  answer with: pawl signal r-1 go"]);
  expect(answerHints(update([waiting], [waiting]), [asks], url)).toEqual([]);
  expect(answerHints(update([undefined, undefined, undefined, waiting]), [asks], url)).toEqual([]);
});

test("the payload is one that the signal takes, in quotes that a shell understands", () => {
  const [hint = ""] = answerHints(update([undefined, waiting]), [asks], url);
  const command = hint.replace("  answer with: pawl signal", "printf '%s\\n'");
  const words = execFileSync("sh", ["-c", command], { encoding: "utf8" }).trim().split("\n");
  expect(words).toEqual(["r-1", "approval", "--data", '{"ok":true,"by":"Ada\'s boss"}']);
});

test("a payload that cannot be made up is left to the reader, and another address is named", () => {
  expect(answerHints(update([undefined, undefined, waiting]), [asks], "http://127.0.0.1:7071")).toEqual([
    "  answer with: pawl signal r-1 odd --data '…' --url http://127.0.0.1:7071",
  ]);
});

describe("what could not be undone", () => {
  const undos: readonly StepState[] = [{ status: "failed", attempt: 10, startedAtMs: 0, endedAtMs: 1 }];
  function ended(change: Partial<NamedUpdate> = {}, run: Partial<RunState> = {}): NamedUpdate {
    const { after, ...rest } = update([]);
    const before: RunState = { ...after, status: "unwinding" };
    return {
      ...rest,
      before,
      after: { ...after, status: "failed", undos, ...run },
      compensation: "incomplete",
      ...change,
    };
  }

  test("is undone by a redrive, which is told when the run ends, with the address of the server", () => {
    expect(redriveHints(ended(), url)).toEqual(["  undo the rest with: pawl redrive r-1"]);
    expect(redriveHints(ended(), "http://127.0.0.1:7071")).toEqual([
      "  undo the rest with: pawl redrive r-1 --url http://127.0.0.1:7071",
    ]);
  });

  test.each<[why: string, update: NamedUpdate]>([
    ["everything is undone", ended({ compensation: "complete" })],
    ["there was nothing to undo", ended({ compensation: undefined })],
    ["the run goes on", ended({}, { status: "unwinding" })],
    ["it has been told", ended({ before: ended().after })],
    // A redrive of these goes forward.
    ["nobody has tried to", ended({}, { status: "cancelled", undos: [] })],
  ])("no word when %s", (_why, one) => {
    expect(redriveHints(one, url)).toEqual([]);
  });
});
