// Hunts: plain lines that carry control characters, miss a change, repeat one, or come out of order.
import { expect, test } from "vitest";
import { createPlainDisplay } from "../../lib/dev/display.ts";
import { createRunFeed } from "../../lib/dev/run-feed.ts";
import { formatElapsed, formatLogEntry } from "../../lib/dev/text.ts";
import { createEngine, FatalError, type Logger, type Workflow, workflow } from "../../lib/index.ts";

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Lines of one run, without times, and whatever else differs. */
async function linesOf(ran: Workflow): Promise<string[]> {
  const written: string[] = [];
  const display = createPlainDisplay({ write: (text: string) => written.push(text) > 0 });
  const engine = await createEngine({ workflows: [ran], logger: silent });
  engine.onUpdate(
    createRunFeed({ workflows: [ran], loadStepIds: async () => [], startedAtMs: 0, deliver: display.update }),
  );
  const { runId } = await engine.commands.start(ran.name, { runId: "r" });
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
