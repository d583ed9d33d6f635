import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** A folder for all tests of a group; it goes with them. To be called while they are collected or set up. */
export async function sharedFolder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "pawl-security-"));
  afterAll(() => rm(made, { recursive: true, force: true }));
  return made;
}
