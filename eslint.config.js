// @ts-check

import js from "@eslint/js";
import comments from "@eslint-community/eslint-plugin-eslint-comments";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

/**
 * The house: which folders of lib/ (and functions/) may import from which. A folder that is not named may not be
 * imported. `test/tooling/house.test.ts` shows that each rule of this file fails when it is broken.
 */
const core = ["definition", "engine", "runtime"];
const house = {
  definition: [],
  engine: ["definition"],
  runtime: ["definition", "engine"],
  system: core,
  aws: core,
  embedded: [...core, "system"],
  api: core,
  client: [...core, "system", "aws"],
  dashboard: core,
  testing: [...core, "system", "embedded"],
  cost: [...core, "aws", "embedded", "testing"],
  dev: [...core, "system", "embedded", "api", "cost", "dashboard"],
  cli: [...core, "aws", "embedded", "api", "client", "cost", "dashboard", "dev"],
  cdk: ["definition", "aws"],
  functions: [...core, "system", "aws", "api", "dashboard"],
};

/** What is not ours: packages and Node's own modules that a folder must not import. `pattern` matches the module's name. */
const outside = {
  definition: {
    pattern: "^(?!\\.|zod$|zod/v4/core$|node:crypto$)",
    message:
      "lib/definition is pure and knows only zod and createHash. Take what you need as an argument, or move it to lib/runtime.",
  },
  engine: {
    pattern: "^(?!\\.)",
    message:
      "lib/engine is pure and imports no package at all. Take what you need as an argument, or move it to lib/runtime.",
  },
  runtime: {
    pattern:
      "^(@aws-sdk/|@aws-lambda-powertools/|@hono/|hono$|hono/|node:(child_process|cluster|dgram|dns|fs|http|http2|https|net|sqlite|tls|worker_threads)(/|$))",
    message:
      "lib/runtime reaches the outside only through its ports. Add to a port, and implement it in lib/aws and lib/embedded.",
  },
  system: {
    pattern:
      "^(@aws-sdk/|@aws-lambda-powertools/|@hono/|hono$|hono/|node:(child_process|cluster|dgram|dns|fs|http|http2|https|net|sqlite|tls|worker_threads)(/|$))",
    message:
      "lib/system is made of commands, ports and fetch, and runs in Lambda as it does embedded. Take what you need through a port.",
  },
};

const noCdk = {
  regex: "^(aws-cdk-lib|constructs|cdk-nag|aws-cdk)(/|$)",
  message: "Only lib/cdk and bin/app.ts import the CDK: it must never be bundled into code that runs in Lambda.",
};

const pure = ["lib/definition/**/*.ts", "lib/engine/**/*.ts"];
const impure = (/** @type {string} */ what, /** @type {string} */ instead) =>
  `${what} makes the pure core depend on when and where it runs. ${instead}`;

const pureGlobals = [
  ...[
    "setTimeout",
    "setInterval",
    "setImmediate",
    "clearTimeout",
    "clearInterval",
    "clearImmediate",
    "queueMicrotask",
  ].map((name) => ({ name, message: impure(name, "Return an effect with a due time; lib/runtime keeps the timers.") })),
  {
    name: "process",
    message: impure("process", "Take the value as an argument; lib/runtime and the entry points read the environment."),
  },
  { name: "performance", message: impure("A clock", "Take the time as an argument (nowMs).") },
  { name: "fetch", message: impure("The network", "Return an effect; lib/runtime and the adapters do I/O.") },
  { name: "console", message: impure("console", "Return what is to be said; lib/runtime logs.") },
  {
    name: "crypto",
    message: impure("Randomness", "Take random numbers and ids as arguments; lib/definition hashes with createHash."),
  },
  { name: "Intl", message: impure("The machine's locale", "Format where it is shown.") },
  { name: "globalThis", message: impure("globalThis", "Take the value as an argument.") },
];

const pureProperties = [
  { object: "Date", property: "now", message: impure("Date.now", "Take the time as an argument (nowMs).") },
  { object: "Math", property: "random", message: impure("Math.random", "Take random numbers as arguments.") },
  { object: "Promise", message: impure("A promise", "Return a value; lib/runtime awaits.") },
  {
    property: "localeCompare",
    message: impure("localeCompare", "Compare with < and >: the order must be the same on every machine."),
  },
];

const pureSyntax = [
  {
    selector: ":function[async=true], AwaitExpression, ForOfStatement[await=true], ImportExpression",
    message: impure("Asynchronous code", "Return a value or an effect; lib/runtime awaits."),
  },
  {
    selector: "NewExpression[callee.name='Promise']",
    message: impure("A promise", "Return a value; lib/runtime awaits."),
  },
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0], CallExpression[callee.name='Date']",
    message: impure("The current time", "Take it as an argument (nowMs)."),
  },
  {
    selector:
      "MemberExpression[property.name=/^((get|set)(FullYear|Month|Date|Day|Hours|Minutes|Seconds|TimezoneOffset)|toLocale.*)$/]",
    message: impure("The machine's time zone or locale", "Use the UTC methods, and plain comparisons."),
  },
  { selector: "MetaProperty[meta.name='import']", message: impure("import.meta", "Take the value as an argument.") },
];

/**
 * Work that nobody waits for: it outlives its caller, a stop and its test, and Lambda freezes it half-way. An exemption
 * stands at its place and says who ends it, or waits for it; `test/tooling/floating.test.ts` lists them all.
 */
const shipped = ["lib/**/*.ts", "functions/**/*.ts", "bin/**/*.ts", "examples/**/*.ts"];
const awaited = "Await it, or keep its promise for whoever stops this.";
const floatingGlobals = ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"].map((name) => ({
  name,
  message: `Nobody can wait for what ${name} calls, and tests cannot let its time pass. Take \`after\` of the clock, or await node:timers/promises.`,
}));
const floatingSyntax = [
  {
    selector: "ExpressionStatement > CallExpression[callee.property.name=/^(then|catch|finally)$/]",
    message: `A chain that nobody waits for: that its errors are caught does not end it. ${awaited}`,
  },
  {
    selector:
      "CallExpression[callee.property.name='unref'], ObjectExpression > Property[key.name='ref'][value.value=false]",
    message: "Work that the process does not stay for is cut off anywhere. Let its owner end it when it stops.",
  },
  {
    selector: "CallExpression[callee.object.name='process'][callee.property.name='nextTick']",
    message: `Nobody can wait for what it calls. ${awaited}`,
  },
  {
    selector: "ImportDeclaration[source.value=/^(node:)?timers$/]",
    message: "Take `after` of the clock, or await node:timers/promises.",
  },
  {
    selector: "CallExpression[callee.object.name='Promise'][callee.property.name='all']",
    message: "When one fails, nobody waits for the others. Take settleAll of lib/runtime, or Promise.allSettled.",
  },
];

/** `import { z } from "zod"` drags 454 KB of locales into every bundle; the namespace import can be tree-shaken. */
const smallZod = [
  {
    selector:
      "ImportDeclaration[source.value='zod'] > ImportDefaultSpecifier, ImportDeclaration[source.value='zod'] > ImportSpecifier[imported.name='z']",
    message: 'Write `import * as z from "zod"`: the named import brings every locale into the Lambda bundle (454 KB).',
  },
  {
    // As a type it costs nothing.
    selector: "MemberExpression[object.name='z'][property.name=/^(core|locales)$/]",
    message:
      'Import what you need of it from "zod/v4/core" by name: the namespace brings every locale into the Lambda bundle.',
  },
];

/** @param {string} folder @param {readonly string[]} allowed */
function rulesOf(folder, allowed) {
  const forbidden = Object.keys(house).filter((other) => other !== folder && !allowed.includes(other));
  const ours = {
    regex: `^(\\.\\./)+(lib/)?((${forbidden.join("|")})/|index\\.ts$)|^(\\.\\./)+(bin|test|examples|bench)/|^pawl($|/)`,
    message:
      `${folder} may import from ${allowed.length === 0 ? "no other folder" : allowed.join(", ")}: imports point one way, see the table in ` +
      "eslint.config.js. Move what both need to a folder further down, or take it as an argument or through a port.",
  };
  const theirs = folder in outside ? outside[/** @type {keyof typeof outside} */ (folder)] : undefined;
  const isPure = folder === "definition" || folder === "engine";
  const patterns = [
    ours,
    ...(theirs ? [{ regex: theirs.pattern, message: theirs.message }] : []),
    ...(folder === "cdk" ? [] : [noCdk]),
  ];
  const hashOnly = {
    name: "node:crypto",
    allowImportNames: ["createHash"],
    message: "Only hashing is pure; ids and random numbers come in as arguments.",
  };
  return {
    files: folder === "functions" ? ["functions/**/*.ts"] : [`lib/${folder}/**/*.ts`],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        { patterns, paths: folder === "definition" ? [hashOnly] : [] },
      ],
      "no-restricted-syntax": [
        "error",
        ...smallZod,
        ...floatingSyntax,
        // no-restricted-imports does not look at import(…).
        ...patterns.map(({ regex, message }) => ({
          selector: `ImportExpression[source.value=/${regex.replaceAll("/", "\\u002F")}/]`,
          message,
        })),
        ...(isPure ? pureSyntax : []),
      ],
    },
  };
}

export default defineConfig(
  globalIgnores(["dist", "coverage", ".pawl", "cdk.out"]),
  {
    linterOptions: { reportUnusedDisableDirectives: "error", reportUnusedInlineConfigs: "error" },
    plugins: { "@eslint-community/eslint-comments": comments },
    rules: {
      // An exemption is only as good as its reason.
      "@eslint-community/eslint-comments/require-description": ["error", { ignore: ["eslint-enable"] }],
      "@eslint-community/eslint-comments/no-unlimited-disable": "error",
    },
  },
  js.configs.recommended,
  {
    files: ["**/*.{js,mjs}"],
    languageOptions: { globals: { console: "readonly", URL: "readonly" } },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-floating-promises": ["error", { checkThenables: true }],
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      // `output ? … : …` drops 0, false and "": say what is asked. Objects and booleans have no such trap.
      "@typescript-eslint/strict-boolean-expressions": [
        "error",
        { allowString: false, allowNumber: false, allowNullableBoolean: true },
      ],
      // `while (true)` is the clearest form of a loop that ends from within.
      "@typescript-eslint/no-unnecessary-condition": [
        "error",
        { allowConstantLoopConditions: "only-allowed-literals" },
      ],
      // Numbers read well in messages; everything else must be formatted on purpose.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // `() => send()` is the plain way to write a callback.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // `_name` says that a parameter is there for its position.
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // A port's method is async so that it always rejects and never throws, whether or not this adapter awaits.
      "@typescript-eslint/require-await": "off",
      // A type parameter that is used once is how the typed builder carries a step's type.
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
      // What users pass may return something or nothing: `Result | void` says so, and the rule cannot be told.
      "@typescript-eslint/no-invalid-void-type": "off",
      // A run is a record of fields whose names are data, and a transition removes some.
      "@typescript-eslint/no-dynamic-delete": "off",
      // It asks for `!`, which no-non-null-assertion forbids.
      "@typescript-eslint/non-nullable-type-assertion-style": "off",
    },
  },
  {
    files: shipped,
    rules: {
      // `void` says that somebody knew, and not who waits. Tests may let a worker die half-way, and are held to what they
      // leave behind by test/tooling/no-leftovers.ts.
      "@typescript-eslint/no-floating-promises": ["error", { checkThenables: true, ignoreVoid: false }],
      "no-restricted-globals": ["error", ...floatingGlobals],
      "no-restricted-syntax": ["error", ...floatingSyntax],
    },
  },
  ...Object.entries(house).map(([folder, allowed]) => rulesOf(folder, allowed)),
  {
    files: pure,
    rules: {
      "no-restricted-globals": ["error", ...pureGlobals],
      "no-restricted-properties": ["error", ...pureProperties],
    },
  },
  {
    files: ["lib/index.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "^(?!\\./(definition|engine|runtime|system|embedded)/)",
              message:
                "The package's main entry exports only from definition, runtime, system and embedded; the rest has entry points of its own.",
            },
            {
              regex: "^\\./engine/",
              allowTypeImports: true,
              message: "The engine is internal: the package's main entry exports only its types.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ["examples/**/*.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "^(\\.\\./)+(lib|bin|functions|test)/",
              message: 'Examples show what users write: import from "pawl".',
            },
          ],
        },
      ],
    },
  },
  {
    // Tests speak to stubs, parsed JSON and values that are known to be there. Promises stay guarded.
    files: ["test/**/*.ts", "bench/**/*.ts"],
    rules: {
      "@typescript-eslint/no-empty-function": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/strict-boolean-expressions": "off",
      "@typescript-eslint/unbound-method": "off",
    },
  },
  {
    // Type tests hold code that must not compile and is never run.
    files: ["test/**/*.test-d.ts"],
    rules: {
      "no-useless-assignment": "off",
      "@typescript-eslint/no-meaningless-void-operator": "off",
      "@typescript-eslint/no-unnecessary-type-assertion": "off",
      "@typescript-eslint/no-unused-expressions": "off",
      "@typescript-eslint/no-unused-vars": "off",
    },
  },
);
