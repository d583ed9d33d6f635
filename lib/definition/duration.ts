/** Lengths of time as users write them. Inside the engine a time is always a number of milliseconds, named `…Ms`. */

const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A number and its unit: `"250ms"`, `"30s"`, `"5m"`, `"1.5h"`, `"3d"`. */
export type Duration = `${number}${keyof typeof unitsMs}`;

export const durationForm = 'a number and a unit (ms, s, m, h, d), such as "30s", "1.5h" or "3d"';

/** Milliseconds, rounded to whole ones; `undefined` when the text is not a duration. */
export function parseDuration(text: unknown): number | undefined {
  if (typeof text !== "string") return undefined;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * unitsMs[match[2] as keyof typeof unitsMs]);
}

/** The shortest exact form, for messages: 90000 is `1.5m`. */
export function formatDuration(durationMs: number): Duration {
  for (const unit of ["d", "h", "m", "s"] as const) {
    const amount = durationMs / unitsMs[unit];
    if (amount >= 1 && Number.isInteger(amount * 10)) return `${amount}${unit}`;
  }
  return `${durationMs}ms`;
}
