/** What a list of measured values says. */

/** @throws {RangeError} when nothing was measured */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/**
 * The smallest value that at least this part of all values does not exceed.
 *
 * @param part from 0 to 1
 * @throws {RangeError} when nothing was measured
 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
  if (value === undefined) throw new RangeError("Nothing was measured, so there is no median and no percentile of it.");
  return value;
}

/** To so many digits that count: what is behind them is noise. */
export function rounded(value: number, digits = 4): number {
  return Number(value.toPrecision(digits));
}
