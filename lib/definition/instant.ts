/** Points in time as users write them. */

export const instantForm = 'a Date, or ISO 8601 text with its offset, such as "2027-01-31T08:00:00Z" or "2027-01-31"';

/** A time of day needs its offset: without one, the text would mean another time on another machine. */
const isoPattern = /^(\d{4})-(\d{2})-(\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** Milliseconds since 1970 of a Date or ISO 8601 text; `undefined` when it is neither. */
export function parseInstant(value: unknown): number | undefined {
  const ms = value instanceof Date ? value.getTime() : typeof value === "string" ? parseIso(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

function parseIso(text: string): number {
  const match = isoPattern.exec(text);
  if (match === null) return Number.NaN;
  const [year, month, day] = match.slice(1, 4).map(Number) as [number, number, number];
  // Date.parse takes the 30th of February for a day in March.
  const isDay = new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day;
  return isDay ? Date.parse(text) : Number.NaN;
}
