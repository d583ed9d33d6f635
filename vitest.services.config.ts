import { defineConfig } from "vitest/config";
import everywhere from "./vitest.config.ts";

/** The suites that need a service beside them: `npm run test:aws` and `npm run test:deploy`. */
export default defineConfig({
  ...everywhere,
  test: {
    ...everywhere.test,
    include: ["test/{wire,deploy}/**/*.test.ts"],
    // They wait for other processes; the very first one for an installation.
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
});
