/** Batch requests of AWS that may fail in part: what was not taken is sent again, within bounds. */
import { limits } from "../definition/limits.ts";
import type { Clock, Randomness } from "../runtime/ports.ts";

/** An entry that was not taken. */
export interface Refusal {
  /** Its place among the entries of the request. */
  readonly index: number;
  readonly code: string;
  readonly message: string;
  /** The same entry would be refused again. */
  readonly isFinal: boolean;
}

/**
 * Sends the entries; those that were not taken again, after growing pauses.
 *
 * @param send one request with these entries
 * @returns what was still not taken in the end, with places among `entries`
 */
export async function sendEntries<Entry>(
  entries: readonly Entry[],
  send: (entries: readonly Entry[]) => Promise<readonly Refusal[]>,
  { clock, random }: { readonly clock: Clock; readonly random: Randomness },
): Promise<readonly Refusal[]> {
  const final: Refusal[] = [];
  let open = entries.map((_, index) => index);
  for (let tries = 1; ; tries++) {
    const refusals = await send(open.flatMap((index) => entries[index] ?? []));
    const refused = refusals.map((refusal) => ({ ...refusal, index: open[refusal.index] ?? -1 }));
    final.push(...refused.filter(({ isFinal }) => isFinal));
    const again = refused.filter(({ isFinal }) => !isFinal);
    if (again.length === 0) return final;
    if (tries === limits.batchTries) return [...final, ...again];
    open = again.map(({ index }) => index);
    await pause(clock, random, tries);
  }
}

/** Between 50 and 100 ms after the first try, twice as long after each further one. */
export async function pause(clock: Clock, random: Randomness, tries: number): Promise<void> {
  const ms = 50 * 2 ** tries * (0.5 + random.fraction() / 2);
  await new Promise<void>((resolve) => {
    clock.after(ms, resolve);
  });
}
