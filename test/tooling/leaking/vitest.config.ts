import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    dir: import.meta.dirname,
    include: ["*.fixture.ts"],
    setupFiles: ["test/tooling/loopback-only.ts", "test/tooling/no-leftovers.ts"],
    pool: "forks",
  },
});
