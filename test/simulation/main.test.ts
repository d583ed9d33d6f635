// Hunts: a command that says nothing, too much, or that all is well when it is not; and a replay that differs in another process.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const command = (...flags: string[]) => promisify(execFile)(process.execPath, [main, ...flags]);

describe("npm run test:sim", () => {
  test("ends with one line of JSON on stdout", async () => {
    const { stdout } = await command("--from", "300", "--seeds", "60", "--workers", "2");
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ seeds: 60, violations: 0, stuck: 0 });
    expect(result.faults).toBeGreaterThan(60);
    expect(result.states).toBeGreaterThan(600);
    expect(result.states).toBeLessThanOrEqual(result.writes);
  }, 60_000);

  test("replays a seed, each time with the same schedule", async () => {
    const [first, second] = await Promise.all([command("--seed", "5"), command("--seed", "5")]);
    expect(first.stdout).toBe('{"seeds":1,"violations":0,"stuck":0}\n');
    expect(first.stderr).toContain("scenario: ");
    expect(first.stderr).toContain("receives");
    expect(second).toEqual(first);
  }, 60_000);

  test("refuses what it does not know, and says what it takes", async () => {
    const refused = command("--seeds", "-3");
    await expect(refused).rejects.toMatchObject({ code: 2, stdout: "" });
    await expect(refused).rejects.toMatchObject({ stderr: expect.stringContaining("npm run test:sim -- --seed S") });
  }, 60_000);
});
