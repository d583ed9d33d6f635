// What is done on both engines, with what must come of it. Each scenario has runs of its own; they go on side by side.
import { readFileSync } from "node:fs";
import type { OperationView } from "../../lib/runtime/operations.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import type { Driver } from "./host.ts";
import type { Partner } from "./partner.ts";

export interface Scenario {
  readonly name: string;
  /** It harms its engine: nothing else may go on there, if the engine is one process. @default false */
  readonly alone?: boolean;
  /** @returns the runs that are compared, as they are at the end */
  drive(driver: Driver, partner: Partner): Promise<readonly RunView[]>;
  /** What the first of them must match. */
  readonly expected: object;
}

export const scenarios: readonly Scenario[] = [
  {
    name: "an order that waits for its approval",
    async drive(driver) {
      const runId = await driver.start("order", dearOrder());
      await driver.untilWaiting(runId, "approval");
      await driver.signal(runId, "approval", { approved: true, by: "R. Silva" });
      return [await driver.untilEnd(runId)];
    },
    expected: {
      status: "succeeded",
      output: { orderId: "O-10421", paid: "1446.20 EUR" },
      steps: { charge: { attempt: 3 }, "quote-hare": { status: "failed", attempt: 2 } },
    },
  },
  {
    name: "an order that cannot be delivered is undone",
    async drive(driver) {
      return [await driver.untilEnd(await driver.start("order", readOrder("order-undeliverable.json")))];
    },
    expected: {
      status: "failed",
      compensation: "complete",
      error: { name: "FatalError", step: "ship" },
      steps: { charge: { compensation: { status: "succeeded", attempt: 2 } } },
    },
  },
  {
    name: "an order that is refused, and redriven",
    async drive(driver) {
      const runId = await driver.start("order", dearOrder());
      await driver.untilWaiting(runId, "approval");
      await driver.signal(runId, "approval", { approved: false, by: "R. Silva" });
      await driver.until(runId, ({ status }) => status === "failed");
      await driver.operate(runId, "redrive");
      await driver.untilWaiting(runId, "approval");
      await driver.signal(runId, "approval", { approved: true, by: "A. Byron" });
      return [await driver.untilEnd(runId)];
    },
    expected: {
      status: "succeeded",
      output: { paid: "1446.20 EUR" },
      steps: { accept: { output: { by: "A. Byron" } } },
    },
  },
  {
    name: "steps that are tried again, on two task queues",
    async drive(driver) {
      return [await driver.untilEnd(await driver.start("retries"))];
    },
    expected: { status: "succeeded", output: { attempts: 5, refused: "never" } },
  },
  {
    name: "a step whose worker dies",
    alone: true,
    async drive(driver) {
      return [await driver.untilEnd(await driver.start("crash"))];
    },
    expected: { status: "succeeded", output: "survived as attempt 2", steps: { fragile: { attempt: 2 } } },
  },
  {
    name: "a map of 500 items, one of which fails and is tolerated",
    async drive(driver) {
      return [await driver.untilEnd(await driver.start("fan-out", { items: 500 }))];
    },
    expected: { status: "succeeded", output: { items: 500, failures: 1, total: 41_541_750 - 169 } },
  },
  {
    name: "children, by themselves and of a map",
    async drive(driver) {
      const runId = await driver.start("family", { names: ["Ada", "Ben", "Cem"] });
      const run = await driver.untilEnd(runId);
      return [run, await driver.show(run.steps.first?.child ?? "")];
    },
    expected: { status: "succeeded", output: ["Hello, Ada", "Hello, Ben", "Hello, Cem"] },
  },
  {
    name: "a chain of 40 hops",
    async drive(driver) {
      return [await driver.untilEnd(await driver.start("chain"))];
    },
    expected: { status: "succeeded", output: 40 },
  },
  {
    name: "signals that come early, late and never",
    async drive(driver) {
      const runId = await driver.start("signals");
      await driver.signal(runId, "early", { sent: "early" });
      await driver.untilWaiting(runId, "late");
      await driver.signal(runId, "late", { sent: "late" });
      return [await driver.untilEnd(runId)];
    },
    expected: { status: "succeeded", output: ["early", "late"] },
  },
  {
    name: "a run that is cancelled while it waits",
    async drive(driver) {
      const runId = await driver.start("cancellation");
      await driver.untilWaiting(runId, "wait");
      await driver.operate(runId, "cancel");
      return [await driver.untilEnd(runId)];
    },
    expected: {
      status: "cancelled",
      compensation: "complete",
      steps: { book: { compensation: { status: "succeeded" } }, wait: { status: "cancelled" } },
    },
  },
  {
    name: "a run whose end is waited for, while somebody else cancels it",
    async drive(driver) {
      const runId = await driver.start("cancellation");
      await driver.untilWaiting(runId, "wait");
      const waited = driver.send("GET", `/runs/${runId}?wait=20s`);
      await driver.operate(runId, "cancel");
      return [(await waited) as RunView];
    },
    expected: { status: "cancelled", compensation: "complete" },
  },
  {
    name: "runs that are cancelled by a bulk operation, and purged",
    async drive(driver) {
      const runId = await driver.start("cancellation", undefined, "1", { of: "bulk" });
      const others = [
        await driver.start("cancellation", undefined, "2", { of: "bulk" }),
        await driver.start("cancellation", undefined, "3", { of: "bulk" }),
      ];
      for (const each of [runId, ...others]) await driver.untilWaiting(each, "wait");
      const filter = { tag: { key: "of", value: "bulk" }, workflow: "cancellation" };
      // Lists follow the runs with some delay.
      await driver.untilSo(async () => {
        const { runs } = (await driver.send("GET", "/runs?tag=of:bulk")) as { readonly runs: readonly unknown[] };
        return runs.length === 3;
      });
      const operation = { action: "cancel", filter, operationId: `${runId}-all` };
      await driver.send("POST", "/operations", operation);
      await driver.untilSo(async () => {
        const shown = (await driver.send("GET", `/operations/${runId}-all`)) as OperationView;
        return shown.status === "succeeded" && shown.progress.done === 3;
      });
      for (const other of others) {
        await driver.untilEnd(other);
        await driver.send("DELETE", `/runs/${other}`);
        const gone = await driver.host.request("GET", `/runs/${other}`);
        if (gone.status !== 404) throw new Error(`A purged run is answered with ${gone.status}.`);
      }
      return [await driver.untilEnd(runId)];
    },
    expected: { status: "cancelled", compensation: "complete", tags: { of: "bulk" } },
  },
  {
    name: "a run that is paused and resumed",
    async drive(driver) {
      const runId = await driver.start("cancellation");
      await driver.untilWaiting(runId, "wait");
      await driver.operate(runId, "pause");
      await driver.signal(runId, "wait");
      await driver.operate(runId, "resume");
      return [await driver.untilEnd(runId)];
    },
    expected: { status: "succeeded", steps: { fly: { output: "landed" } } },
  },
  {
    name: "an answer that comes by its token",
    async drive(driver, partner) {
      const runId = await driver.start("outside", { partner: partner.url });
      const token = await partner.token;
      await driver.untilWaiting(runId, "answer");
      await driver.send("POST", `/callbacks/${token}/heartbeat`);
      await driver.send("POST", `/callbacks/${token}/succeed`, { accepted: true });
      const again = await driver.host.request("POST", `/callbacks/${token}/succeed`, { accepted: true });
      if (again.status !== 404) throw new Error(`A used token is answered with ${again.status}.`);
      return [await driver.untilEnd(runId)];
    },
    expected: { status: "succeeded", output: true },
  },
  {
    name: "a sleep that is longer than a message can be delayed",
    async drive(driver) {
      const runId = await driver.start("nap");
      await driver.untilWaiting(runId, "sleep");
      return [await driver.show(runId)];
    },
    expected: { status: "running", steps: { sleep: { status: "waiting", waitsFor: "time" } } },
  },
  {
    name: "payloads that are too large for an item",
    async drive(driver) {
      const runId = await driver.start("luggage", { text: "x".repeat(350_000) });
      const run = await driver.untilEnd(runId);
      const double = await driver.send("GET", `/runs/${runId}/steps/double/output`);
      if (double !== "x".repeat(700_000)) throw new Error("The large output is not what the step returned.");
      return [run];
    },
    expected: { status: "succeeded", output: 700_000, steps: { double: { outputRef: { bytes: 700_002 } } } },
  },
];

function readOrder(file: string): object {
  return JSON.parse(readFileSync(new URL(`../../examples/${file}`, import.meta.url), "utf8"));
}

/** One that somebody must approve. */
function dearOrder(): object {
  const order = readOrder("order.json") as { lines: object[] };
  return { ...order, lines: [{ ...order.lines[0], unitPriceCents: 60_000, quantity: 2 }] };
}
