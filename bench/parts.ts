/** The parts of the bench, in the order that they are measured in. */
import { measureBill } from "./bill.ts";
import { measureColdStart } from "./cold-start.ts";
import { measureEmbedded } from "./embedded.ts";
import { measureEngineCpu } from "./engine-cpu.ts";
import { measureHandOff } from "./hand-off.ts";
import type { Measured } from "./report.ts";
import { rounded } from "./statistics.ts";

/** @param tell is called with what is about to be measured */
export type Measure = (tell: (what: string) => void) => Promise<Measured>;

export const parts = {
  bill: measureBill,
  cpu: measureEngineCpu,
  embedded: measureEmbedded,
  "cold-start": measureStarts,
  "hand-off": measureHandOff,
} as const satisfies Readonly<Record<string, Measure>>;

export type PartName = keyof typeof parts;

async function measureStarts(): Promise<Measured> {
  const { rounds, starts } = await measureColdStart();
  return {
    title: "Cold start: what each function loads, against a bundle of the same SDK clients alone",
    notes: [
      `Medians of ${rounds} processes each, started in turn; ratios are taken round by round.`,
      "Minified is without the names of functions and classes, which errors are grouped by: as deployed they are there.",
    ],
    figures: starts.flatMap(({ name, bytes, minifiedBytes, ms, ratio, firstEvent }) => {
      const isWorker = name === "worker";
      return [
        {
          name: `${name}: bundle, minified`,
          value: Math.round(minifiedBytes / 1_000),
          unit: "KB",
          ...(isWorker ? { target: { atMost: 700 } } : {}),
        },
        { name: `${name}: bundle, as deployed`, value: Math.round(bytes / 1_000), unit: "KB" },
        { name: `${name}: import time`, value: rounded(ms, 3), unit: "ms" },
        {
          name: `${name}: import time against that bundle`,
          value: ratio,
          ...(isWorker ? { target: { atMost: 1.25 } } : {}),
        },
        ...(firstEvent === undefined
          ? []
          : [{ name: `${name}: with the first event, against that bundle`, value: rounded(firstEvent.ratio, 3) }]),
      ];
    }),
  };
}
