// Hunts: workflows of our own that a stack's usual worker has no time for, or whose bounds do not fit each other.
import { describe, expect, test } from "vitest";
import { planTaskQueues } from "../../lib/cdk/task-queue-plan.ts";
import { limits } from "../../lib/definition/limits.ts";
import { runsPerPart } from "../../lib/system/operation-request.ts";
import { createSystem } from "../../lib/system/system.ts";
import { Rig } from "../behaviour/rig.ts";

const rig = new Rig([]);
const { workflows, tell } = createSystem({ workflows: [], ports: rig.ports, index: rig.runIndex });

test("Pawl's own workflows ask nothing more of a stack than it has anyway", () => {
  expect(workflows.map(({ name }) => name)).toEqual(["pawl-bulk", "pawl-webhook"]);
  expect(planTaskQueues(workflows, {})).toEqual(planTaskQueues([], {}));
});

test("without webhooks, nobody is to be told", () => {
  expect(tell).toBeUndefined();
});

test("the graph of deliveries does not depend on which webhooks there are", () => {
  const webhooks = [{ name: "crm", url: "https://crm.example", secret: "a text of enough characters" }];
  const others = createSystem({ workflows: [], ports: rig.ports, index: rig.runIndex, webhooks });
  expect(others.tell).toBeDefined();
  expect(others.workflows.map(({ fingerprint }) => fingerprint)).toEqual(
    workflows.map(({ fingerprint }) => fingerprint),
  );
});

describe("bounds of bulk operations", () => {
  test("a part ends well before the minute that its step has", () => {
    for (let rate = 1; rate <= limits.operationRate; rate++) {
      expect(runsPerPart(rate)).toBeGreaterThanOrEqual(1);
      expect(Number.isInteger(runsPerPart(rate))).toBe(true);
      expect(runsPerPart(rate) / rate).toBeLessThanOrEqual(limits.operationPartMs / 1_000);
    }
    expect(limits.operationSelectMs).toBeLessThan(60_000);
  });

  test("all runs of an operation fit into its parts from 10 a second on, and their ids into a payload", () => {
    expect(runsPerPart(10) * limits.operationParts).toBeGreaterThanOrEqual(limits.operationRuns);
    expect(limits.operationBytes).toBeLessThan(limits.payloadBytes);
    expect(limits.operationRuns * 60).toBeLessThan(limits.operationBytes);
  });

  test("whoever asks how far it is reads the run, and two levels of shards", () => {
    expect(limits.operationParts).toBeLessThanOrEqual(limits.shardItems * limits.shardFanOut);
    expect(1 + 1 + limits.operationParts / limits.shardItems).toBe(18);
  });

  test("a receiver of webhooks puts us off for no longer than a retry may wait", () => {
    expect(limits.webhookRetryMs).toBeLessThanOrEqual(limits.retryDelayMs);
    expect(limits.webhookRetryLeastMs).toBeLessThan(limits.webhookRetryMs);
  });
});
