// Hunts: a TypeError from within, where a definition was given something that the compiler would have refused.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { DefinitionError } from "../../lib/definition/errors.ts";
import { type Workflow, workflow } from "../../lib/definition/workflow.ts";

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what a caller without a compiler may do
type Anything = any;

const circular: Record<string, unknown> = {};
circular.self = circular;

const confused: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    undefined,
    10n,
    Symbol("s"),
    circular,
    Object.create(null),
    [],
    {},
    new Date(Number.NaN),
    () => 1,
    Number.NaN,
    Infinity,
    "",
    "1s",
    "a",
    "__proto__",
    "constructor",
    z.string(),
  ),
  fc.anything(),
);

/** A sound definition of each kind, of which one value is replaced. */
const sound: Record<string, () => Record<string, unknown>> = {
  step: () => ({
    run: () => 1,
    after: [],
    retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1s", max: "2s", factor: 2, jitter: "none" } },
    timeout: "1s",
    startAt: "2027-01-01",
    heartbeatTimeout: "500ms",
    rateLimit: { limit: 1, per: "1s", key: "k" },
    compensate: { run: () => undefined, timeout: "1s", retry: { maxAttempts: 2 } },
    output: z.number(),
  }),
  poll: () => ({
    run: () => 1,
    until: () => true,
    interval: { type: "fixed", base: "1s" },
    maxAttempts: 3,
    timeout: "1h",
  }),
  callback: () => ({ run: () => 1, output: z.number(), timeout: "1h", heartbeatTimeout: "1m" }),
  signal: () => ({ payload: z.number(), timeout: "1h", onTimeout: { value: 1 } }),
  sleep: () => ({ duration: "1m" }),
  child: () => ({ workflow: () => undefined, input: () => 1, whenParentEnds: "leave" }),
  map: () => ({ items: () => [], run: () => 1, concurrency: 2, toleratedFailures: "10%", retry: { maxAttempts: 2 } }),
};
const common = [
  "when",
  "after",
  "afterAny",
  "afterFailed",
  "afterSettled",
  "skipWithDependency",
  "onFailure",
  "delay",
  "taskQueue",
];

const ofWorkflow = (): Record<string, unknown> => ({
  input: z.object({}),
  timeout: "1h",
  retention: "1d",
  concurrency: { limit: 1, key: () => "k" },
  schedule: { cron: "0 6 * * *", timezone: "UTC", input: {} },
  defaults: { timeout: "1s", retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1s" } } },
});

/** Each place at which something may stand, those within objects included. */
function placesIn(options: Record<string, unknown>): string[][] {
  return Object.entries(options).flatMap(([name, value]) => {
    const isPlain = typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
    const within = isPlain ? placesIn(value as Record<string, unknown>).map((place) => [name, ...place]) : [];
    return [[name], ...within];
  });
}

function replaced(options: Record<string, unknown>, [name = "", ...rest]: string[], value: unknown): object {
  if (rest.length === 0) return { ...options, [name]: value };
  return { ...options, [name]: replaced(options[name] as Record<string, unknown>, rest, value) };
}

/** A definition, or the error that names its faults; anything else is thrown. */
function defined(name: unknown, options: unknown, build: unknown): Workflow | DefinitionError {
  try {
    return (workflow as Anything)(name, options, build) as Workflow;
  } catch (error) {
    if (error instanceof DefinitionError && error.faults.length > 0) return error;
    throw error;
  }
}

describe("whatever is given, there is a definition or an error that names the faults", () => {
  test.each(Object.keys(sound))("as an option of w.%s", (kind) => {
    const options = sound[kind]?.() ?? {};
    const places = [...placesIn(options), ...common.map((name) => [name])];
    fc.assert(
      fc.property(fc.constantFrom(...places), confused, (place, value) => {
        defined("of", {}, (w: Anything) => void w[kind]("a", replaced(options, place, value)));
      }),
      { numRuns: 500 },
    );
  });

  test("as an option of the workflow", () => {
    fc.assert(
      fc.property(fc.constantFrom(...placesIn(ofWorkflow())), confused, (place, value) => {
        defined("of", replaced(ofWorkflow(), place, value), (w: Anything) => void w.sleep("a", { duration: "1m" }));
      }),
      { numRuns: 500 },
    );
  });

  test("as a name, an id, options, the function that builds, or what it returns", () => {
    fc.assert(
      fc.property(confused, fc.constantFrom(...Object.keys(sound)), fc.nat(4), (value, kind, at) => {
        const options = sound[kind]?.();
        const build = (w: Anything): unknown => {
          w[kind](at === 1 ? value : "a", at === 2 ? value : options);
          return at === 3 ? value : undefined;
        };
        defined(at === 0 ? value : "of", at === 4 ? value : {}, build);
      }),
      { numRuns: 1_000 },
    );
    for (const value of [null, undefined, 1, {}]) expect(defined("of", {}, value)).toBeInstanceOf(DefinitionError);
  });
});

test.each([
  ["retry: 5", { retry: 5 }, 'step "a": retry: is 5; allowed is an object of options.'],
  [
    "retry.backoff: null",
    { retry: { backoff: null } },
    'step "a": retry.backoff: is null; allowed is an object of options.',
  ],
  ["after: a step itself", { after: { id: "b" } }, 'step "a": after: is {"id":"b"}; allowed is a list of steps.'],
  ["when: true", { when: true }, 'step "a": when: is true; allowed is a function.'],
  ["output: a type's name", { output: "string" }, 'step "a": output: is "string"; allowed is a zod schema.'],
])("%s is named", (_what, options, message) => {
  const error = defined("of", {}, (w: Anything) => void w.step("a", { run: () => 1, ...options }));
  expect((error as DefinitionError).message).toContain(message);
});
