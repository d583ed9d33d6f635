import { defineConfig } from "vitest/config";
import everywhere from "./vitest.config.ts";

/** The suites with a script of their own: test:tools loads the CDK and the linter, and test:aws and test:deploy need an emulator. */
export default defineConfig({
  ...everywhere,
  test: {
    ...everywhere.test,
    include: ["test/{cdk,tooling,wire,deploy,planted-bugs}/**/*.test.ts"],
    // What they leave behind is not looked at: clients of AWS keep their connections for the next request.
    setupFiles: ["test/tooling/loopback-only.ts"],
    // They wait for other processes; the very first one for an installation.
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
});
