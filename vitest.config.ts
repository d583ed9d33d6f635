import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests and the examples they load meet the sources, never a mixture of lib/ and dist/.
    alias: [
      { find: /^pawl$/, replacement: source("lib/index.ts") },
      { find: /^pawl\/lambda$/, replacement: source("functions/index.ts") },
      { find: /^pawl\/(client|cdk|testing)$/, replacement: source("lib/$1/index.ts") },
    ],
  },
  test: {
    // The others take their time, or need a service beside them: see vitest.heavy.config.ts.
    include: ["test/!(cdk|tooling|wire|deploy|planted-bugs)/**/*.test.ts"],
    setupFiles: ["test/tooling/loopback-only.ts", "test/tooling/no-leftovers.ts"],
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
