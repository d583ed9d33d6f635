// Hunts: plain lines that carry control characters, miss a change, repeat one, or come out of order.
import { expect, test } from "vitest";
import { createPlainDisplay } from "../../lib/dev/display.ts";
import { createRunFeed } from "../../lib/dev/run-feed.ts";
import { formatElapsed, formatLogEntry } from "../../lib/dev/text.ts";
import { createEngine, type Engine, FatalError, type Logger, type Workflow, workflow } from "../../lib/index.ts";
import { UnderWay } from "../../lib/runtime/under-way.ts";

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Lines of one run, without times, and whatever else differs. */
async function linesOf(
  ran: Workflow,
  steer: (engine: Engine, seen: (pattern: string) => Promise<void>) => Promise<void> = async () => {},
): Promise<string[]> {
  const written: string[] = [];
  const display = createPlainDisplay({ write: (text: string) => written.push(text) > 0 });
  const engine = await createEngine({ workflows: [ran], logger: silent });
  engine.onUpdate(
    createRunFeed({
      workflows: engine.commands.workflows(),
      loadStepIds: async () => [],
      startedAtMs: 0,
      underWay: new UnderWay(),
      deliver: display.update,
    }),
  );
  const { runId } = await engine.commands.start(ran.name, { runId: "r" });
  await steer(engine, (pattern) => expect.poll(() => written.join("")).toMatch(new RegExp(pattern)));
  await engine.waitForEnd(runId);
  await engine.stop();
  return written.map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{3} /, "").replaceAll(/\d+\.\ds/g, "Ts"));
}

test("one line for each change of a step and of the run", async () => {
  const ran = workflow("ran", {}, (w) => {
    const first = w.step("first", { run: () => 1 });
    const never = w.step("never", { after: [first], when: () => false, run: () => 1 });
    return w.step("last", {
      after: [never],
      retry: { maxAttempts: 2, backoff: { type: "fixed", base: "10ms" } },
      run: ({ attempt }) => {
        if (attempt === 1) throw new Error("once");
        return attempt;
      },
    });
  });
  expect((await linesOf(ran)).map((line) => line.replace(/at \S+ \(in Ts\)/, "soon"))).toEqual([
    "ran r: run started\n",
    "ran r first: running, attempt 1\n",
    "ran r first: succeeded, attempt 1, after Ts\n",
    "ran r never: running, attempt 1\n",
    "ran r never: skipped\n",
    "ran r last: running, attempt 1\n",
    "ran r last: backing off, attempt 2 soon\n",
    "ran r last: running, attempt 2\n",
    "ran r last: succeeded, attempt 2, after Ts\n",
    "ran r: run succeeded after Ts\n",
  ]);
});

test("a failed run tells why, on one line and without control characters", async () => {
  const ran = workflow("ran", {}, (w) =>
    w.step("only", {
      run: () => {
        throw new FatalError("\u001b[31mred\u001b[0m\nand\u0007 more");
      },
    }),
  );
  expect((await linesOf(ran)).at(-1)).toBe("ran r: run failed after Ts: FatalError: red and more (step only)\n");
});

test("waits: until when, and what ended them", async () => {
  const ran = workflow("ran", {}, (w) => {
    const early = w.signal("early");
    const asked = w.signal("asked", { after: [early], timeout: "1h" });
    const lapsed = w.signal("lapsed", { after: [asked], timeout: "5ms", onTimeout: "skip" });
    const given = w.signal("given", { after: [lapsed], timeout: "5ms", onTimeout: { value: undefined } });
    const nap = w.sleep("nap", { after: [given], duration: "5ms" });
    const other = w.sleep("other", { after: [nap], when: () => false, duration: "1h" });
    w.signal("never", { after: [other], timeout: "5ms" });
  });
  const lines = await linesOf(ran, async ({ commands }, seen) => {
    await seen("early: waiting for signal early\n");
    await commands.signal("r", "never");
    await commands.signal("r", "early");
    await seen("asked: waiting for signal asked, until ");
    await commands.signal("r", "asked");
  });
  const untimed = lines.map((line) => line.replace(/until (\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d/, "until then"));
  expect(untimed.map((line) => line.replace(/^ran r/, "").trim())).toEqual([
    ": run started",
    "early: waiting for signal early",
    "never: signal received early, and kept",
    "early: signal received",
    "early: succeeded after Ts",
    "asked: waiting for signal asked, until then",
    "asked: signal received",
    "asked: succeeded after Ts",
    "lapsed: waiting for signal lapsed, until then",
    "lapsed: no signal came in time: skipped",
    "given: waiting for signal given, until then",
    "given: no signal came in time: succeeded after Ts",
    "nap: waiting until then",
    "nap: succeeded after Ts",
    "other: skipped",
    "never: succeeded after Ts",
    ": run succeeded after Ts",
  ]);
});

test("children and maps: what they wait for; the shards of a map are not shown", async () => {
  const part = workflow("part", {}, (w) => w.step("a", { run: () => 1 }));
  const ran = workflow("ran", {}, (w) => {
    const one = w.child("one", { workflow: part });
    w.map("many", { after: [one], items: () => Array.from({ length: 40 }, () => 1), run: () => 1 });
  });
  const lines = (await linesOf(ran)).map((line) => line.trim());
  // The child goes its own way.
  expect(lines.filter((line) => line.startsWith("part"))).toEqual([
    "part r~one: run started",
    "part r~one a: running, attempt 1",
    "part r~one a: succeeded, attempt 1, after Ts",
    "part r~one: run succeeded after Ts",
  ]);
  expect(lines.filter((line) => !line.startsWith("part"))).toEqual([
    "ran r: run started",
    "ran r one: waiting for its child",
    "ran r one: succeeded after Ts",
    "ran r many: waiting for its map",
    "ran r many: succeeded after Ts",
    "ran r: run succeeded after Ts",
  ]);
});

test("a wait that fails its run says why", async () => {
  const ran = workflow("ran", {}, (w) => w.signal("asked", { timeout: "5ms" }));
  expect((await linesOf(ran)).slice(-2)).toEqual([
    "ran r asked: no signal came in time: failed\n",
    'ran r: run failed after Ts: SignalTimeout: No signal "asked" came within 0.005 s. (step asked)\n',
  ]);
});

test("a run that is cancelled while it waits, and its redrive", async () => {
  const ran = workflow("ran", {}, (w) => w.signal("asked"));
  const lines = await linesOf(ran, async ({ commands }, seen) => {
    await seen("waiting");
    await commands.cancel("r");
    await commands.redrive("r");
    await seen("redriven\n[^]*waiting");
    await commands.signal("r", "asked");
  });
  expect(lines.map((line) => line.replace(/^ran r/, "").trim())).toEqual([
    ": run started",
    "asked: waiting for signal asked",
    "asked: cancelled",
    ": run cancelled after Ts",
    ": run redriven",
    "asked: waiting for signal asked",
    "asked: signal received",
    "asked: succeeded after Ts",
    ": run succeeded after Ts",
  ]);
});

const pauseOf10ms = { type: "fixed", base: "10ms" } as const;

test("a run that fails and is undone: each attempt to undo a step, and how it ended", async () => {
  const ran = workflow("ran", {}, (w) => {
    const first = w.step("first", { run: () => 1, compensate: () => undefined });
    const second = w.step("second", {
      after: [first],
      run: () => 2,
      compensate: {
        retry: { backoff: pauseOf10ms },
        run: ({ attempt }) => {
          if (attempt === 1) throw new Error("once");
        },
      },
    });
    w.step("last", {
      after: [second],
      run: () => {
        throw new FatalError("no");
      },
    });
  });
  const lines = await linesOf(ran);
  expect(lines.slice(5).map((line) => line.replace(/at \S+ \(in Ts\)/, "soon").trim())).toEqual([
    "ran r last: running, attempt 1",
    "ran r last: failed, attempt 1",
    "ran r: run unwinding: FatalError: no (step last)",
    "ran r second: undoing, attempt 1",
    "ran r second: undoing backs off, attempt 2 soon",
    "ran r second: undoing, attempt 2",
    "ran r second: undone, attempt 2, after Ts",
    "ran r first: undoing, attempt 1",
    "ran r first: undone, attempt 1, after Ts",
    "ran r: run failed after Ts, everything undone: FatalError: no (step last)",
  ]);
});

test("a run that is cancelled, what cannot be undone, and the redrive that undoes it", async () => {
  let isOpen = false;
  const ran = workflow("ran", {}, (w) => {
    const done = w.step("done", {
      run: () => 1,
      compensate: {
        retry: { maxAttempts: 1 },
        run: () => {
          if (!isOpen) throw new Error("closed");
        },
      },
    });
    w.signal("asked", { after: [done] });
  });
  const lines = await linesOf(ran, async (engine, seen) => {
    await seen("waiting");
    await engine.commands.cancel("r");
    await engine.waitForEnd("r");
    isOpen = true;
    await engine.commands.redrive("r");
  });
  expect(lines.slice(3).map((line) => line.replace(/^ran r/, "").trim())).toEqual([
    "asked: waiting for signal asked",
    ": run unwinding to cancelled",
    "done: undoing, attempt 1",
    "done: undoing failed, attempt 1",
    "asked: cancelled",
    ": run cancelled after Ts, not everything undone",
    ": run redriven, to undo what could not be undone",
    "done: undoing, attempt 1",
    "done: undone, attempt 1, after Ts",
    ": run cancelled after Ts, everything undone",
  ]);
});

test("a step that was cut off says so, and is undone", async () => {
  const ran = workflow("ran", {}, (w) => {
    w.step("cut", {
      timeout: "20ms",
      retry: { maxAttempts: 1 },
      run: ({ signal }) => new Promise((_resolve, reject) => (signal.onabort = reject)),
      compensate: () => undefined,
    });
  });
  const error = "StepTimeout: The attempt took longer than its timeout of 20 ms. (step cut)";
  expect((await linesOf(ran)).map((line) => line.replace(/^ran r/, "").trim())).toEqual([
    ": run started",
    "cut: running, attempt 1",
    "cut: cut off, attempt 1: whether it took effect is unknown",
    `: run unwinding: ${error}`,
    "cut: undoing, attempt 1",
    "cut: undone, attempt 1, after Ts",
    `: run failed after Ts, everything undone: ${error}`,
  ]);
});

test("a log entry about the undoing of a step says so", () => {
  const fields = { runId: "r", step: "s", undo: true, amount: 5 };
  expect(formatLogEntry({ level: "info", message: "refunded", fields })).toBe("undoing: refunded  amount=5");
});

test("a step that is ended by hand, and a fork, are told as such", async () => {
  const ran = workflow("ran", {}, (w) => {
    const asked = w.signal("asked");
    return w.step("end", { after: [asked], run: () => 1 });
  });
  const lines = await linesOf(ran, async ({ commands }, seen) => {
    await seen("waiting");
    await commands.cancel("r");
    await commands.redrive("r", { skip: ["asked"], by: "ada", reason: "known" });
    await seen("run succeeded");
    await commands.fork("r", { from: "end", runId: "s" });
    await seen("ran s: run succeeded");
  });
  expect(lines.map((line) => line.trim()).slice(4)).toEqual([
    "ran r: run redriven",
    "ran r asked: skipped by hand",
    "ran r end: running, attempt 1",
    "ran r end: succeeded, attempt 1, after Ts",
    "ran r: run succeeded after Ts",
    "ran s: run forked from r, step end",
    "ran s end: running, attempt 1",
    "ran s end: succeeded, attempt 1, after Ts",
    "ran s: run succeeded after Ts",
  ]);
});

test("a log entry is its message and fields, errors by name and message", () => {
  const fields = { runId: "r", step: "s", source: "step", error: new TypeError("odd"), count: 2, note: "two words" };
  expect(formatLogEntry({ level: "warn", message: "it\nhappened", fields })).toBe(
    'it happened  TypeError: odd  count=2  note="two words"',
  );
});

test("elapsed time reads well at every size", () => {
  const shown = [-5, 0, 49, 59_940, 59_960, 60_000, 3_599_400, 3_600_000, 86_399_000, 90_000_000].map(formatElapsed);
  expect(shown).toEqual(["0.0s", "0.0s", "0.0s", "59.9s", "1m 00s", "1m 00s", "59m 59s", "1h 00m", "23h 59m", "1d 1h"]);
});

test("a run that waits for its turn tells so, and when it has come", async () => {
  const ran = workflow("ran", { concurrency: { key: "acme", limit: 1 } }, (w) => w.signal("go"));
  const lines = await linesOf(ran, async ({ commands }, seen) => {
    await commands.start("ran", { runId: "s" });
    await seen("ran s: waiting for its turn among the runs of acme\n");
    await commands.signal("r", "go");
    await seen("ran s: its turn has come\n");
    await seen("ran s go: waiting for signal go\n");
  });
  expect(lines.filter((line) => line.startsWith("ran r"))).toEqual([
    "ran r: run started\n",
    "ran r go: waiting for signal go\n",
    "ran r go: signal received\n",
    "ran r go: succeeded after Ts\n",
    "ran r: run succeeded after Ts\n",
  ]);
});
