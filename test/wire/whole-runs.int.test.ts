// Hunts a behaviour that runs on DynamoDB do not share with those on the embedded stores (R10).
import process from "node:process";
import { afterAll, describe } from "vitest";
import { openAws } from "./aws.ts";

const aws = await openAws();
process.env.PAWL_TEST_STORE = "dynamodb";
afterAll(() => aws.stop());

describe("on DynamoDB", async () => {
  await import("../behaviour/attempts.test.ts");
  await import("../behaviour/by-hand.test.ts");
  await import("../behaviour/callbacks.test.ts");
  await import("../behaviour/children.test.ts");
  await import("../behaviour/children-undone.test.ts");
  await import("../behaviour/compensation.test.ts");
  await import("../behaviour/concurrency.test.ts");
  await import("../behaviour/data.test.ts");
  await import("../behaviour/failure-fingerprints.test.ts");
  await import("../behaviour/fork.test.ts");
  await import("../behaviour/graphs.test.ts");
  await import("../behaviour/heartbeats.test.ts");
  await import("../behaviour/interrupts.test.ts");
  await import("../behaviour/map.test.ts");
  await import("../behaviour/operations.test.ts");
  await import("../behaviour/polling.test.ts");
  await import("../behaviour/rate-limit.test.ts");
  await import("../behaviour/redrive.test.ts");
  await import("../behaviour/retention.test.ts");
  await import("../behaviour/time.test.ts");
  await import("../behaviour/waiting.test.ts");
});
