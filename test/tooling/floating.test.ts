// Hunts: work that nobody waits for and lint lets through, and a place for it that nobody has agreed to.
import { globSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { lint, root } from "./probes.ts";

/** The first look at a file loads the types of everything that the repository imports. */
const LINT_TIMEOUT_MS = 120_000;

async function rulesBroken(path: string, body: string): Promise<readonly string[]> {
  const code = [
    'import type { EventEmitter } from "node:events";',
    "",
    "interface Given {",
    "  readonly work: () => Promise<void>;",
    "  readonly emitter: EventEmitter;",
    "}",
    "",
    "export async function probe({ work, emitter }: Given): Promise<void> {",
    "  await work();",
    '  emitter.emit("begun");',
    `  ${body}`,
    "}",
    "",
  ].join("\n");
  const [result] = await lint.lintText(code, { filePath: `${root}${path}` });
  return result!.messages.map(({ ruleId, message }) => ruleId?.replace("@typescript-eslint/", "") ?? message);
}

describe("lint finds", () => {
  const floating: readonly (readonly [rule: string, body: string])[] = [
    ["no-floating-promises", "work();"],
    ["no-floating-promises", "void work();"],
    ["no-floating-promises", "[1, 2].map(() => work());"],
    ["no-floating-promises", "(async () => { await work(); })();"],
    ["no-floating-promises", "const thenable: PromiseLike<void> = { then: work().then.bind(work()) }; thenable;"],
    ["no-restricted-syntax", "work().catch(() => undefined);"],
    ["no-restricted-syntax", "work().then(work, () => undefined);"],
    ["no-restricted-syntax", "work().catch(() => undefined).finally(() => undefined);"],
    ["no-restricted-syntax", "await Promise.all([work(), work()]);"],
    ["no-misused-promises", "[1, 2].forEach(async () => { await work(); });"],
    ["no-misused-promises", 'emitter.on("more", async () => { await work(); });'],
    ["no-misused-promises", 'process.once("SIGTERM", work);'],
    ["no-async-promise-executor", "await new Promise<void>(async (resolve) => { await work(); resolve(); });"],
    ["no-restricted-globals", "setTimeout(() => undefined, 10);"],
    ["no-restricted-globals", "setInterval(() => undefined, 10);"],
    ["no-restricted-globals", "setImmediate(() => undefined);"],
    ["no-restricted-globals", "queueMicrotask(() => undefined);"],
    ["no-restricted-syntax", "process.nextTick(() => undefined);"],
    ["no-restricted-syntax", "process.stdin.unref();"],
    ["no-restricted-syntax", "await Promise.resolve({ ref: false });"],
  ];

  test.each(floating)("%s: %s", { timeout: LINT_TIMEOUT_MS }, async (rule, body) => {
    for (const path of ["lib/runtime/probe.ts", "functions/probe.ts", "bin/probe.ts", "examples/probe.ts"]) {
      expect(await rulesBroken(path, body), path).toContain(rule);
    }
  });

  test("and lets pass what is awaited, or kept", { timeout: LINT_TIMEOUT_MS }, async () => {
    const body =
      "const kept = work().catch(() => undefined); await Promise.allSettled([1].map(() => work())); await kept;";
    expect(await rulesBroken("lib/runtime/probe.ts", body)).toEqual([]);
  });

  test("in tests, too, what is not said with `void`", { timeout: LINT_TIMEOUT_MS }, async () => {
    expect(await rulesBroken("test/runtime/probe.test.ts", "work();")).toContain("no-floating-promises");
    expect(await rulesBroken("test/runtime/probe.test.ts", "void work();")).toEqual([]);
  });
});

/** Each has its reason at its place: who waits for it, or ends it. */
const agreed = [
  "lib/cli/tail-command.ts: no-restricted-globals",
  "lib/dev/live-display.ts: no-restricted-globals",
  "lib/embedded/change-feed.ts: no-restricted-syntax",
  "lib/embedded/sqlite-group-commit.ts: no-restricted-globals",
  "lib/runtime/interrupt.ts: no-restricted-syntax",
  "lib/runtime/settle-all.ts: no-restricted-syntax",
  "lib/runtime/system.ts: no-restricted-globals",
  "lib/runtime/system.ts: no-restricted-syntax",
  "lib/testing/simulator/machinery.ts: no-restricted-syntax",
  "lib/testing/simulator/machinery.ts: no-restricted-syntax",
];

test("nothing else outlives its caller on purpose", () => {
  const guarded =
    /eslint-disable\S* .*?(no-floating-promises|no-misused-promises|no-async-promise-executor|no-restricted-(?:syntax|globals))/g;
  const files = globSync("{lib,functions,bin,examples}/**/*.ts", { cwd: root }).toSorted();
  const found = files.flatMap((file) =>
    [...readFileSync(`${root}${file}`, "utf8").matchAll(guarded)].map(([, rule]) => `${file}: ${rule}`),
  );
  // This one asks a pure question: see its reason.
  const pure = "lib/definition/schedule.ts: no-restricted-globals";
  expect(found.filter((one) => one !== pure)).toEqual(agreed);
});
