// Hunts: flags of the simulation that are taken for something else, or ignored.
import { availableParallelism } from "node:os";
import { describe, expect, test } from "vitest";
import { parseOptions } from "./options.ts";

describe("the flags of test:sim", () => {
  test("without any, twenty thousand seeds on all cores", () => {
    const workers = availableParallelism();
    expect(parseOptions([])).toEqual({ from: 1, seeds: 20_000, seed: undefined, workers, seconds: Infinity });
  });

  test("all of them", () => {
    const options = parseOptions(["--seeds", "200000", "--from", "7", "--workers=3", "--seconds", "60"]);
    expect(options).toEqual({ from: 7, seeds: 200_000, seed: undefined, workers: 3, seconds: 60 });
    expect(parseOptions(["--seed", "0"]).seed).toBe(0);
  });

  test.each([
    [["--seeds", "many"], '--seeds is "many". It is a whole number from 1 to 100000000.'],
    [["--seeds", "0"], '--seeds is "0". It is a whole number from 1 to 100000000.'],
    [["--seeds", "1e3"], '--seeds is "1e3". It is a whole number from 1 to 100000000.'],
    [["--workers", "0"], '--workers is "0". It is a whole number from 1 to 256.'],
    [["--from", "4294967296"], '--from is "4294967296". It is a whole number from 0 to 2147483647.'],
    [["--from", "2147483647", "--seeds", "2"], "goes beyond the last seed"],
    [["--seed", "1", "--seeds", "2"], "--seed replays one seed: leave the other options out."],
    [["--sedes", "2"], "Unknown option '--sedes'"],
    [["2"], "Unexpected argument '2'"],
  ])("%j is refused", (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});
