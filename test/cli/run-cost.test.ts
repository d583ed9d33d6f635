// Hunts: a run that is shown without what it costs where that is known, or that cannot be shown where it is not.
import { expect, onTestFinished, test } from "vitest";
import { createRunMeter } from "../../lib/cost/run-meter.ts";
import { startDevServer } from "../../lib/dev/http-server.ts";
import { createEngine, createEngineWith } from "../../lib/embedded/engine.ts";
import { workflow } from "../../lib/index.ts";
import { silent } from "../../lib/testing/silent.ts";
import { say } from "./in-process.ts";

const simple = workflow("simple", {}, (w) => w.step("only", { run: () => 1 }));
const parent = workflow("parent", {}, (w) => w.child("one", { workflow: simple }));

async function serving(isMetered: boolean): Promise<string> {
  const meter = createRunMeter();
  const options = { workflows: [simple, parent], logger: silent };
  const engine = await (isMetered ? createEngineWith(options, meter.between) : createEngine(options));
  const server = await startDevServer({
    engine,
    port: 0,
    logger: silent,
    ...(isMetered ? { costOf: (runId: string) => meter.costOf(runId) } : {}),
  });
  onTestFinished(async () => {
    await server.close();
    await engine.stop({ graceMs: 0 });
  });
  for (const [of, runId] of [
    [simple, "r"],
    [parent, "p"],
  ] as const) {
    await engine.start(of, { runId });
    await engine.waitForEnd(runId);
    await meter.settled(runId);
  }
  return server.url;
}

test("a line beside the run, and each line of the bill when it is asked for", async () => {
  const url = await serving(true);
  const shown = await say("show", "r", "--url", url);
  expect(shown.err).toBe("");
  expect(shown.out).toMatch(
    /^on AWS {5}\$\d+\.\d\d a million runs like this, \$\d+\.\d\d a million attempts of steps$/m,
  );
  expect(shown.out).not.toContain("write units");
  expect((await say("show", "p", "--url", url)).out).toMatch(/attempts of steps; with 1 run that it has started$/m);

  const full = await say("show", "r", "--cost", "--url", url);
  expect(full.out).toMatch(/^on AWS/m);
  expect(full.out).toMatch(/^ *\$\d\.\d\d {2}DynamoDB +\d+(\.\d+)? {2}write units of the table$/m);
  expect(full.out).toContain("Prices: us-east-1, ");
  expect(full.out).toContain("functions of 256 MB that take as long as they took here, one message each");
});

test("as JSON it is a field of the run", async () => {
  const url = await serving(true);
  const { out } = await say("show", "r", "--json", "--url", url);
  expect(JSON.parse(out)).toMatchObject({
    runId: "r",
    status: "succeeded",
    cost: { runs: 1, attempts: 1, isWhole: true },
  });
});

test("where nobody counts, a run is shown without, and whoever asks for it is told why", async () => {
  const url = await serving(false);
  const shown = await say("show", "r", "--url", url);
  expect(shown).toMatchObject({ code: 0, err: "" });
  expect(shown.out).not.toContain("on AWS");
  const asked = await say("show", "r", "--cost", "--url", url);
  expect(asked.code).toBe(1);
  expect(asked.err).toMatch(/does not count what runs cost.*pawl dev.*not_metered, see docs\/errors\.md#not_metered/);
  expect((await say("show", "nope", "--url", url)).err).toContain('There is no run "nope"');
});
