// Hunts: a test environment that differs from what users run: another Node, no SQLite, dist/ mixed with lib/, the network.
import { createConnection } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";

it("is the Node that Lambda runs", () => {
  expect(process.version).toMatch(/^v24\./);
});

it("has SQLite", () => {
  const database = new DatabaseSync(":memory:");
  expect(database.prepare("SELECT 1 + 1 AS sum").get()).toEqual({ sum: 2 });
  database.close();
});

it('takes "pawl" from lib/, not from dist/', async () => {
  expect(await import("pawl")).toBe(await import("../../lib/index.ts"));
});

it("connects to this machine only", async () => {
  await expect(fetch("http://192.0.2.1/")).rejects.toMatchObject({
    cause: { message: expect.stringContaining("192.0.2.1") },
  });
  const error = await new Promise((resolve) => createConnection(443, "example.com").on("error", resolve));
  expect(String(error)).toContain("This test connects to example.com");
});
