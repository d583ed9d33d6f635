// Hunts a write that counts twice, or that its own writer takes for another's, when its answer is lost and it is repeated.
import process from "node:process";
import { afterAll, describe } from "vitest";
import { openAws } from "./aws.ts";

const aws = await openAws();
process.env.PAWL_TEST_STORE = "dynamodb";
process.env.PAWL_TEST_LOST_ANSWERS = "1";
afterAll(() => aws.stop());

describe("on DynamoDB, when every answer to a write is lost", async () => {
  await import("../behaviour/attempts.test.ts");
  await import("../behaviour/by-hand.test.ts");
  await import("../behaviour/callbacks.test.ts");
  await import("../behaviour/children.test.ts");
  await import("../behaviour/children-undone.test.ts");
  await import("../behaviour/compensation.test.ts");
  await import("../behaviour/fork.test.ts");
  await import("../behaviour/graphs.test.ts");
  await import("../behaviour/interrupts.test.ts");
  await import("../behaviour/operations.test.ts");
  await import("../behaviour/redrive.test.ts");
  await import("../behaviour/waiting.test.ts");
});
