import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";

/** A folder of its own for each test that asks, gone after it. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "pawl-embedded-"));
  created.push(directory);
  return directory;
}

const created: string[] = [];
afterEach(() => {
  for (const directory of created.splice(0)) rmSync(directory, { recursive: true, force: true });
});
