// Hunts: a server that does not say what it will do by itself.
import { expect, test } from "vitest";
import { workflow } from "../../lib/definition/workflow.ts";
import { banner } from "../../lib/dev/banner.ts";

const run = (): number => 1;
const about = { file: "a.ts", warnings: [], url: "http://127.0.0.1:7070", host: "127.0.0.1", dataDir: "d", log: "l" };

test("schedules are told with their next time", () => {
  const daily = workflow("daily", { schedule: { cron: "0 6 * * MON-FRI", timezone: "Europe/Berlin" } }, (w) =>
    w.step("a", { run }),
  );
  const often = workflow("often", { schedule: { every: "15m" } }, (w) => w.step("a", { run }));
  const never = workflow("never", {}, (w) => w.step("a", { run }));
  const lines = banner({ ...about, workflows: [daily, often, never] })
    .split("\n")
    .filter((line) => line.startsWith("  schedule"));
  expect(lines).toEqual([
    expect.stringMatching(/ daily at 0 6 \* \* MON-FRI in Europe\/Berlin, next \d{4}-\d\d-\d\dT0[45]:00Z$/),
    expect.stringMatching(/ often every 15m, next \d{4}-\d\d-\d\dT\d\d:(00|15|30|45)Z$/),
  ]);
});
