// Hunts: two graphs that drive a run differently and share a fingerprint, or one graph with two.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { dependants, dependencies, fingerprint, type Graph } from "../../lib/definition/graph.ts";
import { randomGraph } from "../engine/random-run.ts";

type Path = readonly (string | number)[];

/** Every place in a value that holds something other than an object. */
function leaves(value: unknown, path: Path = []): Path[] {
  if (value === null || typeof value !== "object") return [path];
  return Object.entries(value).flatMap(([key, part]) => leaves(part, [...path, key]));
}

function changed(value: unknown, [key, ...rest]: Path): unknown {
  if (key === undefined) {
    if (typeof value === "number") return value + 1;
    if (typeof value === "string") return `${value}x`;
    return undefined;
  }
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<string, unknown>;
  copy[key] = changed(copy[key], rest);
  return copy;
}

const whole = fc
  .tuple(
    randomGraph({ maxSteps: 5 }),
    fc.record({ output: fc.nat(4), timeoutMs: fc.integer({ min: 1, max: 1e9 }) }, { requiredKeys: [] }),
    fc.record(
      { startAtMs: fc.nat(), hasWhen: fc.constant(true as const), hasStartAt: fc.constant(true as const) },
      { requiredKeys: [] },
    ),
  )
  .map(
    ([graph, rest, extra]): Graph => ({
      ...graph,
      ...rest,
      steps: graph.steps.map((step, index) => (index === 0 ? { ...step, ...extra } : step)),
    }),
  );

test("equal graphs have equal fingerprints, in whatever order their fields were put together", () => {
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, part]) => [key, reversed(part)]),
    );
  };
  fc.assert(
    fc.property(whole, (graph) => {
      const own = fingerprint(graph);
      expect(fingerprint(reversed(graph) as Graph)).toBe(own);
      expect(fingerprint(JSON.parse(JSON.stringify(graph)) as Graph)).toBe(own);
    }),
    { numRuns: 200 },
  );
});

test("a change of any one field changes the fingerprint", () => {
  fc.assert(
    fc.property(whole, fc.nat(), (graph, pick) => {
      const paths = leaves(graph);
      const path = paths[pick % paths.length]!;
      expect(fingerprint(changed(graph, path) as Graph)).not.toBe(fingerprint(graph));
    }),
    { numRuns: 500 },
  );
});

test("a field or step more or less changes the fingerprint", () => {
  fc.assert(
    fc.property(whole, fc.nat(), (graph, pick) => {
      const own = fingerprint(graph);
      const { steps, ...rest } = graph;
      const step = steps[pick % steps.length]!;
      expect(fingerprint({ ...rest, steps: [...steps, step] })).not.toBe(own);
      expect(fingerprint({ ...rest, steps: steps.slice(1) })).not.toBe(own);
      for (const kind of ["after", "afterAny", "afterFailed", "afterSettled"] as const) {
        const more = { ...step, [kind]: [...step[kind], 99] };
        expect(fingerprint({ ...rest, steps: steps.map((one) => (one === step ? more : one)) })).not.toBe(own);
      }
      const { output: _output, ...withoutOutput } = graph;
      expect(fingerprint(withoutOutput) === own).toBe(graph.output === undefined);
    }),
    { numRuns: 200 },
  );
});

test("two random graphs share a fingerprint only when they are the same", () => {
  const small = randomGraph({ maxSteps: 2 });
  fc.assert(
    fc.property(small, small, (one, other) => {
      expect(fingerprint(one) === fingerprint(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
    }),
    { numRuns: 500 },
  );
});

test("dependants and dependencies are the same edges", () => {
  fc.assert(
    fc.property(whole, (graph) => {
      const forward = graph.steps.flatMap((step, index) => dependencies(step).map((from) => `${from}>${index}`));
      const backward = dependants(graph).flatMap((all, from) => all.map((index) => `${from}>${index}`));
      expect(backward.sort()).toEqual(forward.sort());
    }),
    { numRuns: 200 },
  );
});
