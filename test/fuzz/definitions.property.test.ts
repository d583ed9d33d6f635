// Hunts: a definition with confused types or hostile names that fails with an error from the inside, or is accepted although
// it cannot be stored and read again.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { DefinitionError } from "../../lib/definition/errors.ts";
import { fingerprint } from "../../lib/definition/graph.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import { hostileText } from "../api/hostile.ts";
import { budget, timeoutMs } from "./budget.ts";

/** What JavaScript lets somebody write where something else is meant. */
const confused: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e308, 10n, Symbol("x")),
  fc.constantFrom<unknown>([], {}, [null], [undefined], () => 1, new Date(Number.NaN), new Map(), /x/, z.string()),
  fc.constantFrom<unknown>(Object.create(null), JSON.parse('{"__proto__":{"run":1}}')),
  fc.jsonValue({ maxDepth: 2 }),
);

const good = {
  step: { run: () => 1, retry: { maxAttempts: 3, backoff: { type: "fixed", base: "1s" } }, timeout: "30s" },
  map: { items: () => [1], run: () => 1, concurrency: 2 },
  sleep: { duration: "1h" },
  signal: { payload: z.string(), timeout: "1h", onTimeout: "skip" },
  callback: { run: () => undefined, timeout: "1h" },
  poll: { run: () => 1, until: () => true, timeout: "1h" },
};

const optionNames = [
  ...["run", "retry", "timeout", "after", "afterAny", "afterFailed", "afterSettled", "when", "delay", "startAt"],
  ...["taskQueue", "onFailure", "compensate", "output", "heartbeatTimeout", "rateLimit", "skipWithDependency"],
  ...["items", "concurrency", "toleratedFailures", "duration", "until", "payload", "onTimeout", "interval", "workflow"],
  ...["isRetryable", "input", "__proto__", "constructor", "toString"],
];
const workflowOptions = [
  "input",
  "timeout",
  "retention",
  "concurrency",
  "schedule",
  "tags",
  "retry",
  "__proto__",
  "nope",
];

/** Options in which some are not what they are meant to be; or something that is no options at all. */
function spoiltOptions(names: readonly string[], base: object): fc.Arbitrary<unknown> {
  const some = fc.dictionary(fc.constantFrom(...names), confused, { maxKeys: 4 });
  const nested = fc.tuple(fc.constantFrom("retry", "rateLimit", "concurrency", "compensate", "schedule"), some);
  return fc.oneof(
    { weight: 6, arbitrary: some.map((bad) => ({ ...base, ...bad })) },
    { weight: 2, arbitrary: nested.map(([name, bad]) => ({ ...base, [name]: bad })) },
    { weight: 1, arbitrary: confused },
  );
}

type Build = Readonly<Record<string, (id: unknown, options: unknown) => unknown>>;

test(
  "whatever is written, it is a definition or a DefinitionError that names the faults",
  () => {
    const kinds = fc.constantFrom(...(Object.keys(good) as (keyof typeof good)[]));
    const step = kinds.chain((kind) =>
      fc.tuple(fc.constant(kind), fc.oneof(fc.constant("a"), confused), spoiltOptions(optionNames, good[kind])),
    );
    const name = fc.oneof({ weight: 5, arbitrary: fc.constant<unknown>("order") }, { weight: 2, arbitrary: confused });
    fc.assert(
      fc.property(name, spoiltOptions(workflowOptions, {}), fc.array(step, { maxLength: 3 }), (of, options, steps) => {
        try {
          const made = workflow(of as string, options as object, (w) => {
            for (const [kind, id, given] of steps) (w as unknown as Build)[kind]?.(id, given);
          });
          const stored: unknown = JSON.parse(JSON.stringify(made.graph));
          expect(stored).toEqual(made.graph);
          expect(fingerprint(stored as typeof made.graph)).toBe(made.fingerprint);
        } catch (error) {
          expect(error).toBeInstanceOf(DefinitionError);
          expect((error as DefinitionError).message).toMatch(/fault/);
        }
      }),
      budget(2_000),
    );
  },
  timeoutMs,
);
