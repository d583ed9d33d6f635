// Hunts a suite that is skipped, or waits, when there is no emulator.
import { expect, test, vi } from "vitest";
import { Deployment } from "./deployment.ts";

test("without an emulator nothing is deployed, and the reason is told", async () => {
  vi.stubEnv("PATH", "/nowhere");
  await expect(Deployment.prepare()).rejects.toThrow(/need the AWS emulator MiniStack: Python 3\.10 or newer/);
});
