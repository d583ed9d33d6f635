/** A value as messages show it. */

const longest = 200;

/** Whatever it is: the compiler does not see what plain JavaScript passes. */
export function shown(value: unknown): string {
  try {
    // Of functions, symbols and undefined there is no JSON.
    const json = typeof value === "bigint" ? `${value}n` : (JSON.stringify(value) as string | undefined);
    const text = json ?? String(value);
    return text.length > longest ? `${text.slice(0, longest)}…` : text;
  } catch {
    // It refers to itself, or throws when it is looked at.
    return `some ${typeof value}`;
  }
}
