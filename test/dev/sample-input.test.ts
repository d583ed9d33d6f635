// Hunts: an example on the start screen that the workflow would refuse.
import { expect, test } from "vitest";
import * as z from "zod";
import { sampleInput } from "../../lib/dev/sample-input.ts";
import { workflow } from "../../lib/index.ts";

const sampleOf = (input: z.ZodType | undefined): unknown =>
  sampleInput(
    workflow("any", { ...(input === undefined ? {} : { input }) }, (w) => void w.step("a", { run: () => 1 })),
  );

test("a sample is made up when the schema takes it", () => {
  expect(sampleOf(undefined)).toEqual({});
  expect(sampleOf(z.object({ name: z.string(), note: z.string().optional() }))).toEqual({ input: { name: "Ada" } });
  const input = z.object({ kind: z.enum(["a", "b"]), many: z.array(z.object({ n: z.int().min(3) })), mail: z.email() });
  expect(sampleOf(input)).toEqual({ input: { kind: "a", many: [{ n: 3 }], mail: "ada@example.com" } });
});

test("no sample is shown that would be refused, cannot be told, or is long", () => {
  expect(sampleOf(z.string().regex(/^O-\d+$/))).toBeUndefined();
  expect(sampleOf(z.object({ at: z.date() }))).toBeUndefined();
  expect(sampleOf(z.string().refine(async () => true))).toBeUndefined();
  const long = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`field${at}`, z.string()]));
  expect(sampleOf(z.object(long))).toBeUndefined();
});

test("a schema that refers to itself ends", () => {
  interface Tree {
    readonly children: readonly Tree[];
  }
  const tree: z.ZodType<Tree> = z.lazy(() => z.object({ children: z.array(tree) }));
  expect(() => sampleOf(tree)).not.toThrow();
});
