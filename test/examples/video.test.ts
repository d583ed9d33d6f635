// Hunts: segments that are lost or mixed up, a damaged one that stops the film, and too many that do not.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { video } from "../../examples/video.ts";
import type { InputOf } from "../../lib/index.ts";
import { harness, statuses } from "../behaviour/harness.ts";

const demo = JSON.parse(readFileSync(new URL("../../examples/video.json", import.meta.url), "utf8")) as InputOf<
  typeof video
>;
const damaged = [96, 193, 290, 387, 484];
const hour = 3_600_000;

describe("the film", () => {
  test("of 500 segments is assembled without the five that are damaged", async () => {
    const { run, show } = await harness([video]);
    const ended = await run(video, demo, hour);
    expect(statuses(ended)).toEqual({ split: "succeeded", encode: "succeeded", assemble: "succeeded" });
    expect(ended.steps.encode?.output).toEqual({ items: 500, failures: 5 });
    const numbers = Array.from({ length: 500 }, (_, number) => number).filter((number) => !damaged.includes(number));
    expect(ended.output).toEqual({
      playlist: `${demo.file}.m3u8`,
      segments: 495,
      bytes: numbers.reduce((sum, number) => sum + 720_000 + number, 0),
      missing: damaged.map((segment) => ({ segment, why: `The picture at segment ${segment} is damaged.` })),
    });
    const leaf = await show(`${ended.runId}~encode.0`);
    expect(leaf.steps[7]).toMatchObject({ status: "succeeded", attempt: 2 });
  });

  test("of 97 segments of which one is damaged is assembled, as 2% of 97 is one; of 49 none may be", async () => {
    const { run } = await harness([video]);
    expect(await run(video, { ...demo, seconds: 970 }, hour)).toMatchObject({ output: { segments: 96 } });
    expect(await run(video, { ...demo, seconds: 490 }, hour)).toMatchObject({ output: { segments: 49, missing: [] } });
  });
});
