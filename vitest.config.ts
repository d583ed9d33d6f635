import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    // Tests and the examples they load meet the sources, never a mixture of lib/ and dist/.
    alias: [{ find: /^pawl$/, replacement: fileURLToPath(new URL("lib/index.ts", import.meta.url)) }],
  },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/tooling/loopback-only.ts"],
    testTimeout: 10_000,
    hookTimeout: 10_000,
    // A process of its own per file, so that a test may change the environment, and may kill what it started.
    pool: "forks",
    maxWorkers: 2,
    // What one test stubs must not reach the next.
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    coverage: { provider: "v8", include: ["lib/**"], reporter: ["text-summary", "html"] },
  },
});
