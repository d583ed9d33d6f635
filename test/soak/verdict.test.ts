// Hunts a soak that would not notice: each lie that a server could tell must be found, and nothing else be reported.
import { expect, test } from "vitest";
import type { RunView, StepRunView } from "../../lib/runtime/run-view.ts";
import type { Deed } from "./journal.ts";
import type { Entry, Ledger } from "./ledger.ts";
import { judge, type Verdict } from "./verdict.ts";

/** One run of `signalled`, as it should be, and what each side knows of it. */
interface World {
  readonly ledger: Pick<Ledger, "entries" | "seen" | "surprises">;
  readonly journal: Deed[];
  readonly ends: Map<string, RunView>;
}

const runId = "signalled-7";

function deed(stepId: string, token: string, more: Partial<Deed> = {}): Deed {
  return { what: "do", runId, stepId, attempt: 1, key: `key of ${stepId}`, token, saw: {}, atMs: 0, ...more };
}

const made = (token: string, status: StepRunView["status"] = "succeeded"): StepRunView => ({
  status,
  attempt: 1,
  output: { value: 7, token },
});

function runWith(more: Partial<RunView> = {}): RunView {
  return {
    runId,
    workflow: "signalled",
    fingerprint: "f",
    status: "succeeded",
    input: 7,
    output: { value: 7, token: "second" },
    redrives: 0,
    steps: { before: made("first"), go: made("client"), after: made("second") },
    createdAt: "",
    ...more,
  };
}

function asItShouldBe(): World {
  const acknowledged: Entry["acknowledged"] = [{ what: "start" }, { what: "gave", stepId: "go", value: 7 }];
  return {
    ledger: {
      entries: [{ runId, workflow: "signalled", input: 7, acknowledged, unknown: [], isOver: true }],
      seen: [{ runId, stepId: "before", token: "first", atMs: 5 }],
      surprises: [],
    },
    journal: [deed("before", "first", { atMs: 1 }), deed("after", "second", { saw: { go: "client" }, atMs: 9 })],
    ends: new Map([[runId, runWith()]]),
  };
}

const found = ({ ledger, journal, ends }: World): Verdict => judge(ledger, journal, ends);
const end = (world: World, more: Partial<RunView>): unknown => world.ends.set(runId, runWith(more));

test("nothing is found where nothing is wrong", () => {
  expect(found(asItShouldBe())).toEqual({ lost: [], doubled: [], stuck: [], wrong: [] });
});

test("an attempt that was cut off, and the one that took over, are no fault", () => {
  const world = asItShouldBe();
  world.journal.unshift(deed("before", "cut off"));
  world.journal[1] = deed("before", "first", { attempt: 2, atMs: 1 });
  expect(found(world)).toEqual({ lost: [], doubled: [], stuck: [], wrong: [] });
});

const lies: readonly (readonly [what: keyof Verdict, lie: string, tell: (world: World) => unknown, said: RegExp])[] = [
  ["lost", "a run that was acknowledged is gone", ({ ends }) => ends.clear(), /no such run/],
  ["lost", "a run has another input", (world) => end(world, { input: 8 }), /its input is 8/],
  [
    "lost",
    "an accepted signal is another one",
    (world) => world.ledger.entries[0]!.acknowledged.push({ what: "gave", stepId: "go", value: 8 }),
    /go was given 8 and has 7/,
  ],
  [
    "lost",
    "an accepted cancel has not happened",
    (world) => world.ledger.entries[0]!.acknowledged.push({ what: "cancel" }),
    /its cancel/,
  ],
  [
    "lost",
    "an accepted redrive has not happened",
    (world) => world.ledger.entries[0]!.acknowledged.push({ what: "redrive" }),
    /its redrive/,
  ],
  ["lost", "an output is another one", (world) => end(world, { output: { value: 8 } }), /its output is 8, not 7/],
  [
    "lost",
    "a result that was seen is gone",
    (world) => end(world, { steps: { before: { status: "pending", attempt: 0 }, go: made("client") } }),
    /before: a result that was seen/,
  ],
  [
    "lost",
    "a result that nobody made",
    (world) => end(world, { steps: { ...runWith().steps, after: made("invented") } }),
    /after: its result names an execution that the journal does not have/,
  ],
  [
    "doubled",
    "two results were seen",
    ({ ledger }) => ledger.seen.push({ runId, stepId: "before", token: "other", atMs: 6 }),
    /before: 2 results were seen/,
  ],
  [
    "doubled",
    "done again after its result was seen",
    ({ journal }) => journal.push(deed("before", "again", { attempt: 2, atMs: 6 })),
    /before: attempt 2 began after its result was seen/,
  ],
  [
    "doubled",
    "one attempt twice",
    ({ journal }) => journal.push(deed("after", "again", { atMs: 9 })),
    /after do: attempt 1 was executed 2 times/,
  ],
  [
    "doubled",
    "another key for the same step",
    ({ journal }) => journal.push(deed("after", "again", { attempt: 2, atMs: 9, key: "other" })),
    /after do: 2 idempotency keys/,
  ],
  ["doubled", "a redrive that nobody asked for", (world) => end(world, { redrives: 1 }), /counts 1 times/],
  [
    "stuck",
    "a run that has not ended",
    (world) => {
      world.ledger.entries[0]!.isOver = false;
      end(world, { status: "running" });
    },
    /signalled-7: running/,
  ],
  ["wrong", "another outcome", (world) => end(world, { status: "failed" }), /ended as failed/],
  ["wrong", "a surprise of the client", ({ ledger }) => ledger.surprises.push("500"), /500/],
];

test.each(lies)("%s: %s", (what, _lie, tell, said) => {
  const world = asItShouldBe();
  tell(world);
  expect(found(world)[what]).toContainEqual(expect.stringMatching(said));
});

test("lost: what a run did before it failed is not undone", () => {
  const world = asItShouldBe();
  const [entry] = world.ledger.entries;
  world.ledger.entries.splice(0, 1, { ...entry!, workflow: "saga", input: 8, acknowledged: [{ what: "start" }] });
  const steps = { book: { ...made("first"), compensation: { status: "succeeded", attempt: 1 } as const } };
  world.journal.splice(0, 2, deed("book", "first"));
  world.ledger.seen.length = 0;
  end(world, { status: "failed", input: 8, steps });
  expect(found(world).lost).toEqual([expect.stringMatching(/book is not undone/)]);
  world.journal.push(deed("book", "undone", { what: "undo" }));
  expect(found(world)).toEqual({ lost: [], doubled: [], stuck: [], wrong: [] });
});
