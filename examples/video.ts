/**
 * A film for the web: cut into segments, each of which is encoded by itself, 50 at a time; a few that cannot be encoded
 * are left out; then put together again. How many segments there are is known only when the film has been looked at.
 * Storage and encoder are simulated at the end of this file.
 *
 *     npx pawl dev examples/video.ts --demo examples/video.json
 */
import { FatalError, workflow } from "pawl";
import * as z from "zod";

const Film = z.object({
  file: z.string().regex(/^s3:\/\/[a-z0-9-]+\/.+$/),
  seconds: z
    .int()
    .min(1)
    .max(6 * 3_600),
  segmentSeconds: z.int().min(2).max(60).default(10),
  height: z.union([z.literal(480), z.literal(720), z.literal(1080)]).default(720),
});

const Encoded = z.object({ key: z.string(), bytes: z.int().positive() });

export const video = workflow("video", { input: Film, timeout: "6h" }, (w) => {
  const split = w.step("split", {
    run: ({ input }) => {
      const count = Math.ceil(input.seconds / input.segmentSeconds);
      return { film: input.file, count };
    },
  });

  // An item carries all that its encoding needs: it is given nothing else.
  const encode = w.map("encode", {
    after: [split],
    items: ({ input, outputs }) =>
      Array.from({ length: outputs.split.count }, (_, number) => ({
        number,
        from: number * input.segmentSeconds,
        height: input.height,
      })),
    concurrency: 50,
    toleratedFailures: "2%",
    timeout: "10m",
    retry: { maxAttempts: 4, backoff: { type: "exponential", base: "2s", max: "1m", jitter: "full" } },
    output: Encoded,
    run: ({ item, attempt, idempotencyKey }) => encodeSegment(item, attempt, idempotencyKey),
  });

  return w.step("assemble", {
    after: [split, encode],
    timeout: "10m",
    run: async ({ outputs: { split, encode }, log }) => {
      let bytes = 0;
      let segments = 0;
      for await (const segment of encode) {
        if (segment === undefined) continue;
        bytes += segment.bytes;
        segments++;
      }
      const missing = (await encode.errors()).map(({ index, message }) => ({ segment: index, why: message }));
      log.info("assembled", { segments, missing: missing.length });
      return { playlist: `${split.film}.m3u8`, segments, bytes, missing };
    },
  });
});

// From here on: the encoder, simulated.

interface Segment {
  readonly number: number;
  readonly from: number;
  readonly height: number;
}

function encodeSegment({ number, height }: Segment, attempt: number, key: string): z.output<typeof Encoded> {
  // The reel has a scratch: nothing can be made of one segment in 97.
  if (number % 97 === 96) throw new FatalError(`The picture at segment ${number} is damaged.`);
  // One encoder in 20 is taken away in the middle of its work.
  if (number % 20 === 7 && attempt === 1) throw new Error("The encoder was interrupted.");
  return { key: `segments/${key}.ts`, bytes: height * 1_000 + number };
}
