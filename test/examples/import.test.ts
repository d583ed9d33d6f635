// Hunts: customers that are imported twice or not at all, and one that stops the others.
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { customerImport, lockedOut, nightlyImport, reporting } from "../../examples/import.ts";
import type { InputOf } from "../../lib/index.ts";
import { harness } from "../behaviour/harness.ts";

const demo = JSON.parse(readFileSync(new URL("../../examples/import.json", import.meta.url), "utf8")) as InputOf<
  typeof nightlyImport
>;
const hour = 3_600_000;

afterEach(() => {
  lockedOut.clear();
  lockedOut.add("hooli");
});

describe("the nightly import", () => {
  test("has a run for each customer, and reports the one that is missing", async () => {
    const { run, show } = await harness([nightlyImport]);
    const ended = await run(nightlyImport, demo, hour);
    expect(ended).toMatchObject({ status: "succeeded", output: "5700 orders of 2026-11-20; missing: hooli" });
    expect(ended.steps.imports?.output).toEqual({ items: 10, failures: 1 });
    const acme = await show(`${ended.runId}~imports~0`);
    expect(acme).toMatchObject({ workflow: "customer-import", status: "succeeded", output: { rows: 400 } });
    expect(await show(`${ended.runId}~imports~4`)).toMatchObject({ status: "failed", error: { name: "FatalError" } });
    expect(await show(`${ended.runId}~report`)).toMatchObject({ workflow: reporting.name, status: "succeeded" });
  });

  test("fails when three are missing, and a redrive imports these alone", async () => {
    for (const customer of ["acme", "tyrell"]) lockedOut.add(customer);
    const { run, engine, pass, show, events } = await harness([nightlyImport]);
    const failed = await run(nightlyImport, demo, hour);
    expect(failed).toMatchObject({ status: "failed", error: { name: "MapFailed", step: "imports" } });
    expect(failed.error?.message).toMatch(
      /^\d of 10 items failed or were then stopped, and 2 are tolerated\. Item \d: ChildFailed: /,
    );
    lockedOut.clear();
    const before = events.length;
    await engine.commands.redrive(failed.runId);
    await pass(hour);
    expect(await show(failed.runId)).toMatchObject({ status: "succeeded", output: "6200 orders of 2026-11-20" });
    const again = events
      .slice(before)
      .filter(({ workflow, status }) => workflow === customerImport.name && status === "running");
    const expected = [0, 4, 9].map((index) => `${failed.runId}~imports~${index}`);
    // Those that were stopped when the third had failed are taken up, too.
    expect(again.map(({ runId }) => runId)).toEqual(expect.arrayContaining(expected));
    expect(again.length).toBeLessThan(10);
  });
});
