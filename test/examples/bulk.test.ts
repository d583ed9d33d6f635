// Hunts: a page on bulk operations that shows other code than what is tried, or code that does something else.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { mendAllLike } from "../../examples/mend.ts";
import { limits } from "../../lib/definition/limits.ts";
import { runMoves } from "../../lib/engine/moves.ts";
import { workflow } from "../../lib/index.ts";
import { prices } from "../../lib/system/prices.ts";
import { harness } from "../behaviour/harness.ts";

const page = readFileSync(new URL("../../docs/bulk.md", import.meta.url), "utf8");

test("what it shows is examples/mend.ts, and its numbers are those that count", () => {
  const [, shown = ""] = /```ts\n([^]*?)```/.exec(page) ?? [];
  expect(shown).not.toBe("");
  expect(readFileSync(new URL("../../examples/mend.ts", import.meta.url), "utf8")).toContain(shown);
  expect(page).toContain(`1 to ${limits.operationRate}, ${limits.usualOperationRate} by default`);
  expect(page).toContain(`1 to ${limits.operationRuns.toLocaleString("en-US")}`);
  expect(page).toContain(`| \`redrive\` | ${runMoves.redrive.join(", ")} |`);
  const shownPrices = [prices.writeUnit, prices.readUnit, prices.queueRequest, prices.invocation].map((one) =>
    Number((one * 1e6).toFixed(6)),
  );
  for (const price of shownPrices) expect(page).toMatch(new RegExp(`\\$${price}0? per million`));
  expect(page).toContain(`$${prices.gigabyteSecond.toFixed(10)} per GB-second`);
});

test("it mends what failed like one run did, and nothing when that is more than expected", async () => {
  let isMended = false;
  const brittle = workflow("brittle", {}, (w) =>
    w.step("work", {
      retry: { maxAttempts: 1 },
      run: () => {
        if (!isMended) throw new RangeError("out of range");
      },
    }),
  );
  const at = await harness([brittle]);
  for (const runId of ["a", "b", "c"]) await at.engine.start(brittle, { runId });
  await at.pass(1_000);
  isMended = true;
  if ((await at.show("a")).error?.fingerprint === undefined) {
    await expect(mendAllLike(at.engine, "a", 3)).rejects.toThrow("cannot be compared");
    return;
  }
  await expect(mendAllLike(at.engine, "a", 2)).rejects.toThrow("3 runs failed like it");
  const mending = mendAllLike(at.engine, "a", 3);
  await at.pass(5_000);
  expect(await mending).toMatchObject({ status: "succeeded", progress: { done: 3 } });
});
