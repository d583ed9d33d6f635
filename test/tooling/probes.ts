// Lint of files that exist only in a test.
import { fileURLToPath } from "node:url";
import { ESLint } from "eslint";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** The compiler service has to be told to make room for them. */
export const lint = new ESLint({
  cwd: root,
  overrideConfig: {
    files: ["**/*.ts"],
    languageOptions: {
      parserOptions: {
        projectService: {
          allowDefaultProject: ["*/probe.ts", "lib/*/probe.ts", "lib/*/deep/probe.ts", "test/*/probe.test.ts"],
          defaultProject: "tsconfig.json",
          maximumDefaultProjectFileMatchCount_THIS_WILL_SLOW_DOWN_LINTING: 100,
        },
      },
    },
  },
});
