// Hunts: a measurement that counts what it does not mean to, and pictures that are not of the figures beside them.
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BillDetails } from "../../bench/bill.ts";
import { commitsIn } from "../../bench/embedded/write-ahead-log.ts";
import { chain, map } from "../../bench/graphs.ts";
import { writesByItem } from "../../bench/map-writes.ts";
import { draw } from "../../bench/pictures.ts";
import { usualAssumptions } from "../../lib/cost/assumptions.ts";
import { playMetered } from "../../lib/cost/play.ts";

const pictures = new URL("../../docs/pictures/", import.meta.url);
const assumptions = { ...usualAssumptions, memoryMb: 128 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pawl-bench-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("commits are counted by SQLite's own log, however many writes and pages each has", async () => {
  const file = join(folder, "any.db");
  const db = new DatabaseSync(file);
  db.exec("PRAGMA journal_mode = WAL");
  db.exec("CREATE TABLE record (text TEXT)");
  const before = commitsIn(await readFile(`${file}-wal`));
  db.exec("INSERT INTO record VALUES ('one')");
  const large = "x".repeat(20_000);
  db.exec(`BEGIN; INSERT INTO record VALUES ('${large}'); INSERT INTO record VALUES ('${large}'); COMMIT`);
  db.exec("BEGIN; INSERT INTO record VALUES ('none'); ROLLBACK");
  expect(commitsIn(await readFile(`${file}-wal`)) - before).toBe(2);
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  expect(commitsIn(await readFile(`${file}-wal`))).toBe(0);
  db.close();
});

test("what items of a map write adds up to what its run writes", async () => {
  const items = 50;
  const writes = await writesByItem(map(items, 20), items, assumptions);
  const { usage } = await playMetered(map(items, 20), { assumptions });
  expect(writes).toHaveLength(items);
  expect(writes.reduce((sum, one) => sum + one, 0)).toBeCloseTo(usage.tableWrites, 6);
});

test("the pictures of the docs are those of the figures beside them: npm run bench -- --only bill --pictures docs/pictures", () => {
  const figures = JSON.parse(readFileSync(new URL("figures.json", pictures), "utf8")) as BillDetails;
  const drawn = draw(figures);
  expect([...drawn.keys()]).toEqual(["figures.json", "bill.svg", "peers.svg", "chains.svg"]);
  for (const [name, text] of drawn) expect(readFileSync(new URL(name, pictures), "utf8"), name).toBe(text);
  // Another order, as in another process, makes no others.
  expect(draw(figures)).toEqual(drawn);
});

test("the figures of the pictures are those of the engine", async () => {
  const figures = JSON.parse(readFileSync(new URL("figures.json", pictures), "utf8")) as BillDetails;
  for (const { steps, tableWrites } of figures.chains.filter(({ steps }) => steps <= 30)) {
    const { usage } = await playMetered(chain(steps, 20), { assumptions });
    expect(usage.tableWrites / steps, `a chain of ${steps}`).toBeCloseTo(tableWrites, 3);
  }
});
