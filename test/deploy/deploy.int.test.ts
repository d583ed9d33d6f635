// Hunts a stack that does not deploy, does something else than the embedded engine with the same workflows, is refused by
// its own policies or allowed more than it needs, loses open runs in an update, or leaves something behind.
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LifecycleEvent } from "../../lib/engine/lifecycle.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { judgeSteps } from "../soak/verdict.ts";
import { Account, type Taken } from "./account.ts";
import { actorsOf } from "./actors.ts";
import { belongingsOf, listings } from "./belongings.ts";
import { DeployedHost } from "./deployed-host.ts";
import { Deployment, type Outputs } from "./deployment.ts";
import { EmbeddedHost } from "./embedded-host.ts";
import { Executioner } from "./executioner.ts";
import { counted, failuresOf, listed, untilSame } from "./finding.ts";
import { comparable, Driver, type Host } from "./host.ts";
import { justified } from "./justified-permissions.ts";
import { type Actor, refusals, unused } from "./least-privilege.ts";
import { Partner } from "./partner.ts";
import { policyOfKey } from "./role-policies.ts";
import { type Scenario, scenarios } from "./scenarios.ts";

const before = fileURLToPath(new URL("app/before.ts", import.meta.url));
const after = fileURLToPath(new URL("app/after.ts", import.meta.url));
const minutes = 60_000;

let deployment: Deployment;
let outputs: Outputs;
let deployed: DeployedHost;
let embedded: EmbeddedHost;
let account: Account;
const opened: { stop(): Promise<void> }[] = [];
/** What came of each scenario, here and there. All go on at the same time. */
let ends: ReadonlyMap<Scenario, readonly [Promise<readonly RunView[]>, Promise<readonly RunView[]>]>;

beforeAll(async () => {
  deployment = await Deployment.prepare();
  opened.push(deployment);
  embedded = await EmbeddedHost.serve(before);
  opened.push(embedded);
  outputs = await deployment.deploy("before");
  const { endpoint } = deployment.emulator;
  deployed = new DeployedHost(endpoint, outputs.Url);
  account = new Account(endpoint);
  await account.tag(outputs.Blobs, "aws-cdk:auto-delete-objects");
  ends = new Map(
    scenarios.map((scenario, index) => {
      const prefix = `scenario-${index}`;
      return [scenario, [handled(drive(scenario, deployed, prefix)), handled(driveEmbedded(scenario, prefix))]];
    }),
  );
}, 5 * minutes);

afterAll(async () => {
  await Promise.all(opened.map((one) => one.stop()));
});

describe("here as there:", () => {
  test.for(scenarios.map((scenario) => [scenario.name, scenario] as const))(
    "%s",
    { timeout: 4 * minutes },
    async ([, scenario]) => {
      const [there, here] = await Promise.all(ends.get(scenario) ?? []);
      expect(here?.[0]).toMatchObject(scenario.expected);
      expect(there?.map(comparable)).toEqual(here?.map(comparable));
    },
  );
});

test("runs that are open while the stack changes finish on the graph that they began with", {
  timeout: 4 * minutes,
}, async () => {
  const drivers = [new Driver(deployed, "update"), new Driver(embedded, "update")];
  const open = await Promise.all(
    drivers.map(async (driver) => driver.untilWaiting(await driver.start("evolving", undefined, "open"), "go")),
  );
  await Promise.all([deployment.deploy("after"), embedded.change(after)]);
  const [there, here] = await Promise.all(
    drivers.map(async (driver, index) => {
      const runId = open[index]?.runId ?? "";
      await driver.signal(runId, "go");
      const next = await driver.start("evolving", undefined, "next");
      await driver.untilWaiting(next, "go");
      await driver.signal(next, "go");
      return [await driver.untilEnd(runId), await driver.untilEnd(next)];
    }),
  );
  expect(here).toMatchObject([
    { status: "succeeded", output: ["one", "not there", "last"], fingerprint: open[0]?.fingerprint },
    { status: "succeeded", output: ["one", "two", "last"] },
  ]);
  expect(there?.map(comparable)).toEqual(here?.map(comparable));
});

test("workers that are killed lose and double nothing: every run ends, each step by one of its executions", {
  timeout: 7 * minutes,
}, async () => {
  // Each run is hit once, in another step. SQS brings the message of a killed worker back after two minutes.
  const steps = ["first", "left", "right", "join", "last"];
  const executioner = await Executioner.open(({ runId, stepId, attempt }) => {
    return attempt === 1 && stepId === steps[Number(runId.split("-").at(-1)) % steps.length];
  });
  try {
    const driver = new Driver(deployed, "mortal");
    const started = Array.from({ length: 10 }, (_, n) =>
      driver.start("mortal", { journal: executioner.url }, String(n)),
    );
    const runs = await Promise.all(started);
    const ended = await Promise.all(runs.map((runId) => driver.untilEnd(runId, 6 * minutes)));
    expect(ended.map(({ status }) => status)).toEqual(runs.map(() => "succeeded"));
    expect(judgeSteps([], executioner.journal, new Map(ended.map((run) => [run.runId, run])))).toEqual({
      lost: [],
      doubled: [],
      stuck: [],
      wrong: [],
    });
    // One that was killed just before may have taken another one's victim along.
    expect(executioner.killed.length).toBeGreaterThan(4);
    expect(executioner.journal.some(({ attempt }) => attempt > 1)).toBe(true);
  } finally {
    await executioner.close();
  }
});

describe("dead letters", () => {
  test("a message that is none of ours is kept, and harms nobody", { timeout: minutes }, async () => {
    await account.send(outputs.DefaultQueue, "not a message");
    expect(await archived()).toMatchObject([
      { body: "not a message", attributes: { reason: expect.any(String), taskQueue: "default" } },
    ]);
  });

  test("a step whose message can never be handled fails with the cause", { timeout: 3 * minutes }, async () => {
    const driver = new Driver(deployed, "dead-letter");
    const runId = await driver.start("doomed");
    await driver.until(runId, ({ steps }) => steps.book?.status === "succeeded");
    await account.putUnreadableRun(outputs.Table, `${runId}~ask`);
    expect(await driver.untilEnd(runId)).toMatchObject({
      status: "failed",
      compensation: "complete",
      error: { name: "EngineFailure", step: "ask" },
    });
    expect(await archived()).toMatchObject([
      { body: expect.stringContaining(runId), attributes: { reason: expect.any(String) } },
    ]);
  });

  /** What the archive keeps: taken out of it as soon as there is something. */
  async function archived(): Promise<readonly Taken[]> {
    for (;;) {
      const messages = await account.drain(outputs.Archive, 2);
      if (messages.length > 0) return messages;
    }
  }
});

test("a step whose data is gone fails at once, and what came before is undone", { timeout: minutes }, async () => {
  const driver = new Driver(deployed, "bereft");
  const runId = await driver.start("bereft");
  await driver.until(runId, ({ steps }) => steps.pack?.status === "succeeded");
  expect(await account.deleteObjects(outputs.Blobs, runId)).toBe(1);
  const { steps, ...ended } = await driver.untilEnd(runId);
  expect(ended).toMatchObject({ status: "failed", error: { name: "LostPayload", step: "read" } });
  expect(steps.read).toMatchObject({ attempt: 1 });
});

describe("runs are started", () => {
  test("by whoever may invoke the function", async () => {
    const invoke = (event: object) => account.invoke(outputs.ApiFunction, event);
    const runId = "invoked";
    const start = { action: "start", workflow: "family", runId, input: { names: ["Ada"] } };
    expect(await invoke(start)).toMatchObject({ failed: false, answer: { runId, status: "running" } });
    const run = await new Driver(deployed, "").untilEnd(runId);
    expect(run).toMatchObject({ status: "succeeded", output: ["Hello, Ada"] });
    expect(await invoke({ action: "get", runId })).toMatchObject({ answer: { runId, status: "succeeded" } });
    expect(await invoke({ ...start, workflow: "unheard-of" })).toMatchObject({
      failed: true,
      answer: { errorMessage: expect.stringContaining("unheard-of") },
    });
  });

  test("by a schedule that has come to its time, once, under a name with that time", async () => {
    const time = "2026-11-23T05:00:00Z";
    const runId = `report-${time}`;
    const schedules = [...(await account.schedules()).values()];
    expect(schedules).toHaveLength(1);
    // What EventBridge Scheduler does; the emulator's does not fill in the time. It may do it twice.
    for (const { target, input } of [...schedules, ...schedules]) {
      const event = JSON.parse(input.replaceAll("<aws.scheduler.scheduled-time>", time)) as object;
      await account.invoke(target, event, "Event");
    }
    const there = await new Driver(deployed, "").untilEnd(runId);
    const own = new Driver(embedded, "");
    await own.send("POST", "/workflows/report/runs", { runId, input: { kind: "daily" } });
    expect(there).toMatchObject({ status: "succeeded", output: "the daily report" });
    expect(comparable(there)).toEqual(comparable(await own.untilEnd(runId)));
  });

  test("by an event, once, under the event's id", async () => {
    const runId = await account.publish("shop", "Guests", { names: ["Ben"] });
    const run = await new Driver(deployed, "").untilEnd(runId);
    expect(run).toMatchObject({ status: "succeeded", output: ["Hello, Ben"] });
  });
});

describe("lists, statistics and failures", () => {
  const drivers = (): readonly [Driver, Driver] => [new Driver(deployed, "found"), new Driver(embedded, "found")];

  /** Here as soon as there. */
  async function expectSame<T>(ask: (driver: Driver) => Promise<T>): Promise<T> {
    const [there, here] = drivers();
    const expected = await ask(here);
    expect(await untilSame(expected, () => ask(there))).toEqual(expected);
    return expected;
  }

  test("become what they are on the embedded engine", { timeout: 4 * minutes }, async () => {
    // Otherwise runs of theirs would still begin and end.
    await Promise.all([...ends.values()].flat());
    const from = encodeURIComponent(new Date(Date.now() - 1).toISOString());
    await Promise.all(
      drivers().map(async (driver) => {
        const begin = async (workflow: string, suffix: string, input?: unknown): Promise<string> => {
          const runId = `found-${suffix}`;
          const tags = { batch: "finding", kind: workflow };
          await driver.send("POST", `/workflows/${workflow}/runs`, { runId, tags, ...(input ? { input } : {}) });
          return runId;
        };
        await driver.untilWaiting(await begin("cancellation", "waiting"), "wait");
        await driver.untilEnd(await begin("family", "parent", { names: ["Ada", "Ben", "Cem"] }));
        await driver.untilEnd(await begin("retries", "plain"));
        const cancelled = await begin("cancellation", "cancelled");
        await driver.untilWaiting(cancelled, "wait");
        await driver.operate(cancelled, "cancel");
        await driver.untilEnd(cancelled);
      }),
    );
    expect(await expectSame((driver) => listed(driver, "tag=batch:finding"))).toHaveLength(4);
    expect(await expectSame((driver) => listed(driver, "tag=kind:cancellation&status=running"))).toHaveLength(1);
    // The children: one by itself, two of a map.
    expect(await expectSame((driver) => listed(driver, "parent=found-parent"))).toHaveLength(3);
    expect(await expectSame((driver) => listed(driver, `from=${from}`))).toHaveLength(7);
    expect(await expectSame((driver) => listed(driver, `workflow=cancellation&from=${from}`))).toHaveLength(2);
    expect(await expectSame((driver) => counted(driver, "cancellation"))).toMatchObject({ runs: 6 });
    expect(await expectSame((driver) => counted(driver, "order"))).toMatchObject({ runs: 3 });
    await expectSame((driver) => failuresOf(driver, "order"));
  });

  test("lose a run that has expired", { timeout: 2 * minutes }, async () => {
    const [there] = drivers();
    expect(await listed(there, "tag=batch:finding&status=cancelled")).toHaveLength(1);
    const { runs } = await counted(there, "cancellation");
    // As DynamoDB does when the time has come.
    await account.deleteRun(outputs.Table, "found-cancelled");
    expect(await untilSame(runs - 1, async () => (await counted(there, "cancellation")).runs)).toBe(runs - 1);
    expect(await listed(there, "tag=batch:finding&status=cancelled")).toEqual([]);
  });

  test("and what belongs to it goes: blobs, and children by the graph that it began with", {
    timeout: minutes,
  }, async () => {
    const large = [...ends].find(([{ name }]) => name.startsWith("payloads"))?.[1][0];
    const [{ runId } = { runId: "" }] = (await large) ?? [];
    expect(await account.countObjects(outputs.Blobs, runId)).toBeGreaterThan(0);
    await account.deleteRun(outputs.Table, runId);
    expect(await untilSame(0, () => account.countObjects(outputs.Blobs, runId))).toBe(0);
    // Its graph is none that is deployed any more.
    await account.deleteRun(outputs.Table, "update-open");
    await account.deleteRun(outputs.Table, "found-parent");
    const [there] = drivers();
    expect(await untilSame([], () => listed(there, "parent=found-parent"))).toEqual([]);
  });
});

test("the audit sees the open runs, and none that is stuck", async () => {
  const { answer, log } = await account.invoke(outputs.AuditFunction, {});
  expect(answer).toMatchObject({ seen: expect.toSatisfy((runs: number) => runs > 0), stuck: 0 });
  const metrics = log.split("\n").flatMap((line) => (line.includes('"StuckRuns"') ? [JSON.parse(line) as object] : []));
  expect(metrics).toMatchObject([{ StuckRuns: 0, stack: expect.any(String) }]);
});

test("each change of a run's status is published exactly once", { timeout: 2 * minutes }, async () => {
  const messages = await account.drain(outputs.Published, 3);
  const events = messages.map(({ body }) => (JSON.parse(body) as { readonly detail: LifecycleEvent }).detail);
  const ids = events.map(({ id }) => id);
  expect(ids.length).toBe(new Set(ids).size);
  for (const [scenario, [there]] of ends) {
    for (const { runId, status } of await there) {
      const own = events.filter((event) => event.runId === runId).sort((a, b) => changeOf(a) - changeOf(b));
      expect(own[0], scenario.name).toMatchObject({ id: `${runId}:1`, status: "running" });
      // Each begins where the one before it ended: none is missing.
      own.slice(1).forEach(({ id, previous }, index) => {
        expect([id, previous], scenario.name).toEqual([`${runId}:${index + 2}`, own[index]?.status]);
      });
      expect(own.at(-1)?.status, scenario.name).toBe(status);
    }
  }
});

describe("least privilege", () => {
  const actors = async (): Promise<readonly Actor[]> => {
    const { emulator, proxy } = deployment;
    return actorsOf(emulator.endpoint, { proxy, account, key: outputs.Key });
  };

  test("every call that was made is allowed, and known", { timeout: minutes }, async () => {
    expect([...deployment.proxy.unknown]).toEqual([]);
    const callers = new Set([...deployment.proxy.calls.values()].map(({ caller }) => caller));
    expect([...callers].sort()).toEqual([
      "Api",
      "Audit",
      "DeadLetters",
      "Lifecycle",
      "TaskQueues.default.Worker",
      "TaskQueues.fragile.Worker",
      "TaskQueues.inventory.Worker",
    ]);
    const keyPolicy = await policyOfKey(deployment.emulator.endpoint, outputs.Key);
    const refused = (await actors()).map((actor) => refusals(actor, keyPolicy));
    expect((await Promise.all(refused)).flat()).toEqual([]);
  });

  test("everything that is allowed is used, or has a reason", { timeout: minutes }, async () => {
    const idle = merged(await actors()).flatMap((actor) =>
      unused(actor).map((permission) => `${actor.name}: ${permission}`),
    );
    expect(idle.filter((one) => !justified.some(({ permission }) => permission.test(one)))).toEqual([]);
    const stale = justified.filter(({ permission }) => !idle.some((one) => permission.test(one)));
    expect(stale.map(({ permission }) => permission)).toEqual([]);
  });
});

test("destroying the stack leaves nothing of it", { timeout: 2 * minutes }, async () => {
  const { endpoint } = deployment.emulator;
  const kinds = new Set((await belongingsOf("Scenarios", endpoint)).map((one) => one.split(":")[0]));
  expect([...kinds]).toEqual(Object.keys(listings));
  await deployment.destroy();
  // The helper that empties the bucket is the CDK's; Lambda makes its log group, and nobody removes that.
  expect(await belongingsOf("Scenarios", endpoint)).toEqual([
    expect.stringMatching(/^log groups: \/aws\/lambda\/Scenarios-CustomS3AutoDeleteObjects/),
  ]);
});

async function driveEmbedded(scenario: Scenario, prefix: string): Promise<readonly RunView[]> {
  if (scenario.alone !== true) return drive(scenario, embedded, prefix);
  const host = await EmbeddedHost.serve(before);
  try {
    return await drive(scenario, host, prefix);
  } finally {
    await host.stop();
  }
}

async function drive(scenario: Scenario, host: Host, prefix: string): Promise<readonly RunView[]> {
  const partner = await Partner.open();
  try {
    return await scenario.drive(new Driver(host, prefix), partner);
  } finally {
    await partner.close();
  }
}

/** Whoever awaits it is told of its failure; nobody has to. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Workers run the same code for other steps: what one of them uses, all need. */
function merged(actors: readonly Actor[]): readonly Actor[] {
  const isWorker = ({ name }: Actor): boolean => name.endsWith(".Worker");
  const calls = actors.filter(isWorker).flatMap((actor) => actor.calls);
  return actors.map((actor) => (isWorker(actor) ? { ...actor, calls } : actor));
}

/** The number in `<runId>:<number>`. */
function changeOf({ id }: LifecycleEvent): number {
  return Number(id.split(":").at(-1));
}
