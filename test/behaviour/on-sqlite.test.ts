// Hunts: a behaviour that the SQLite store does not share with the one in memory (R10).
import { describe } from "vitest";

process.env.PAWL_TEST_STORE = "sqlite";

describe("on SQLite", async () => {
  await import("./attempts.test.ts");
  await import("./by-hand.test.ts");
  await import("./callbacks.test.ts");
  await import("./children.test.ts");
  await import("./children-undone.test.ts");
  await import("./compensation.test.ts");
  await import("./concurrency.test.ts");
  await import("./data.test.ts");
  await import("./failure-fingerprints.test.ts");
  await import("./finding.test.ts");
  await import("./fork.test.ts");
  await import("./graphs.test.ts");
  await import("./heartbeats.test.ts");
  await import("./interrupts.test.ts");
  await import("./map.test.ts");
  await import("./operations.test.ts");
  await import("./polling.test.ts");
  await import("./rate-limit.test.ts");
  await import("./redrive.test.ts");
  await import("./retention.test.ts");
  await import("./schedules.test.ts");
  await import("./time.test.ts");
  await import("./waiting.test.ts");
});
