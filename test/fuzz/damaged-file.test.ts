// Hunts: one damaged row of the data file that keeps the embedded engine from starting, or from anything else that it does.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test, vi } from "vitest";
import { workflow } from "../../lib/definition/workflow.ts";
import { startEngine } from "../../lib/embedded/engine.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { type Harness, harness, recordingLogger, temporaryFolder } from "../behaviour/harness.ts";
import { asVersion1 } from "../embedded/former-files.ts";

const hour = 3_600_000;
const short = workflow("short", { retention: "1h" }, (w) => w.step("one", { run: () => 1 }));
const waits = workflow("waits", {}, (w) => w.signal("go", {}));

const damages = {
  "is no JSON": "{",
  "is no object": "[1]",
  "has fields that are neither text nor numbers": '{"v":1,"st":"running","w":{}}',
  "is of a newer version": '{"v":2,"st":"running"}',
  "is empty": "",
};

/** A folder with runs that wait and runs that have ended, of which one of each is damaged. */
async function damagedFolder(fields: string, after: (file: string) => void = () => undefined): Promise<string> {
  const dataDir = await temporaryFolder();
  const { engine, pass } = await harness([short, waits], { dataDir });
  for (const runId of ["ended-1", "ended-2"]) await engine.commands.start("short", { runId });
  for (const runId of ["open-1", "open-2"]) await engine.commands.start("waits", { runId });
  await pass(10);
  await vi.waitFor(async () => {
    await pass(1);
    expect((await engine.commands.get("ended-2")).status).toBe("succeeded");
  });
  await engine.stop();
  const file = join(dataDir, "pawl.db");
  const db = new DatabaseSync(file);
  db.prepare("UPDATE run SET fields = ? WHERE id IN ('ended-1', 'open-1')").run(fields);
  db.prepare("INSERT INTO removal (run_id, fields) VALUES ('removed-1', ?)").run(fields);
  db.close();
  after(file);
  return dataDir;
}

async function goesOn({ engine, pass, logs, clock }: Harness): Promise<void> {
  const listed = (await engine.queries.list()).runs.map(({ runId }) => runId).sort();
  expect(listed).toEqual(["ended-2", "open-2"]);
  await expect(engine.commands.get("open-1")).rejects.toThrow("Run open-1 cannot be read");
  await expect(engine.commands.signal("open-1", "go")).rejects.toThrow("Run open-1 cannot be read");
  await engine.commands.signal("open-2", "go");
  await vi.waitFor(async () => {
    await pass(1);
    expect((await engine.commands.get("open-2")).status).toBe("succeeded");
  });
  // Expiry goes past the run that cannot be read, and does not look at it for ever.
  await pass(3 * hour);
  await vi.waitFor(async () => {
    await pass(1);
    await expect(engine.commands.get("ended-2")).rejects.toMatchObject({ code: "run_not_found" });
  });
  const named = (runId: string) => logs.filter(({ fields }) => fields.runId === runId && fields.error !== undefined);
  expect(named("open-1")).not.toEqual([]);
  expect(named("ended-1")).not.toEqual([]);
  const before = logs.length;
  await clock.advance(10 * hour);
  expect(logs.slice(before)).toEqual([]);
}

test.each(Object.entries(damages))("a run that %s", async (_, fields) => {
  const dataDir = await damagedFolder(fields);
  await goesOn(await harness([short, waits], { dataDir }));
});

test("a file of a former version with a damaged run is brought up to date all the same", async () => {
  const dataDir = await damagedFolder("[1]", (file) => {
    const db = new DatabaseSync(file);
    db.exec("DELETE FROM removal");
    db.close();
    asVersion1(file);
  });
  const { engine, pass, logs } = await harness([short, waits], { dataDir });
  expect((await engine.queries.list()).runs.map(({ runId }) => runId).sort()).toEqual(["ended-2", "open-2"]);
  await pass(hour);
  expect(logs.filter(({ fields }) => fields.runId === "open-1").map(({ message }) => message)).toContain(
    "an open run cannot be read",
  );
});

test("webhooks are told of everything but the change that is damaged", async () => {
  const dataDir = await damagedFolder("{");
  const file = join(dataDir, "pawl.db");
  const db = new DatabaseSync(file);
  for (const json of ["{", "null", '{"id":"a:1","status":"asleep"}']) {
    db.prepare("INSERT INTO kept_change (json) VALUES (?)").run(json);
  }
  const change = { id: "ended-2:2", runId: "ended-2", workflow: "short", status: "succeeded", previous: "running" };
  db.prepare("INSERT INTO kept_change (json) VALUES (?)").run(
    JSON.stringify({ ...change, time: "2026-01-01T00:00:00Z" }),
  );
  db.close();
  const clock = new VirtualClock(undefined, 120);
  const logger = recordingLogger([]);
  const told: string[] = [];
  const engine = await startEngine(
    {
      workflows: [short, waits],
      clock,
      logger,
      webhooks: [{ name: "crm", url: "https://crm.example/hook", secret: `whsec_${"A".repeat(32)}` }],
      post: async ({ body }) => {
        told.push((JSON.parse(body) as { data: { runId: string } }).data.runId);
        return { status: 200 };
      },
    },
    openSqliteBackend({ file, clock, logger }),
    createMemoryBlobs,
  );
  await vi.waitFor(async () => {
    await clock.advance(1);
    expect(told).toEqual(["ended-2"]);
  });
  const stopped = engine.stop({ graceMs: 0 });
  await clock.advance(1);
  await stopped;
  const left = new DatabaseSync(file);
  expect(left.prepare("SELECT count(*) AS n FROM kept_change").get()?.n).toBe(0);
  left.close();
});
