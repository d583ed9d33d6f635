// Hunts: a payload that makes every later update of its run cost more, or that another attempt overwrites.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { recordBytes } from "../../lib/engine/codec.ts";
import { payloadKey, placePayload } from "../../lib/engine/placement.ts";

describe("a payload", () => {
  const fields = { st: "running" };
  const roomFor = (openSteps: number): number =>
    limits.runItemBytes - recordBytes(fields) - openSteps * limits.stepStateBytes;

  test.each([2, 10])("is inline while the run item, with what %d open steps will add, costs one write unit", (open) => {
    const most = "x".repeat(roomFor(open));
    expect(placePayload(most, "key", fields, open)).toEqual({ json: most });
    expect(placePayload(`${most}x`, "key", fields, open)).toEqual({ key: "key" });
  });

  test("is measured in bytes, not characters", () => {
    const room = roomFor(10);
    expect(placePayload("é".repeat(Math.floor(room / 2)), "key", fields, 10)).toHaveProperty("json");
    expect(placePayload("é".repeat(Math.floor(room / 2) + 1), "key", fields, 10)).toEqual({ key: "key" });
  });

  describe("in a run item that is full", () => {
    const full = { x: "x".repeat(limits.runItemBytes) };
    const most = (open: number): number => {
      for (let bytes = 0; ; bytes++) {
        if ("key" in placePayload("x".repeat(bytes), "out#7#0.1", full, open)) return bytes - 1;
      }
    };

    test("is inline when nothing is shorter than what would refer to it", () => {
      for (const open of [0, 10, 10_000]) expect(most(open)).toBeGreaterThanOrEqual("@out#7#0.1".length);
      expect(placePayload("", "key", full, 10_000)).toEqual({ json: "" });
    });

    test.each([
      [0, limits.runItemBytes],
      [1, 10 + 682],
      [9, 10 + 107],
      [49, 10 + 20],
      // So little more than what would refer to it is moved out with others, when the record is full.
      [200, 10 + 16],
    ])(
      "with %i open steps is inline up to %i bytes: more would cost more than a write and a deletion",
      (open, bytes) => {
        expect(most(open)).toBe(bytes);
      },
    );
  });
});

describe("keys", () => {
  test("differ by step, epoch, attempt and kind, so that no attempt replaces what another stored (R4)", () => {
    const keys = (["output", "error", "background"] as const).flatMap((kind) =>
      [0, 1, 11].flatMap((step) =>
        [0, 1, 11, "x7f3k9q2mz"].flatMap((epoch) =>
          [1, 11, 111].map((attempt) => payloadKey[kind](step, epoch, attempt)),
        ),
      ),
    );
    expect(new Set(keys).size).toBe(3 * 36);
  });

  test("of inputs follow the input", () => {
    expect(payloadKey.input("abc")).toBe("in#abc");
  });
});
