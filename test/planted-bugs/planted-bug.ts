/** A mistake that somebody could make in the sources, as the change of text that makes it. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

interface Planted {
  /** What is wrong then, as a sentence. */
  readonly name: string;
  /** The invariant that no longer holds, as ARCHITECTURE.md numbers them. */
  readonly breaks: "R1" | "R2" | "R3" | "R4" | "R5" | "R6" | "R7" | "R8" | "R9";
  /** From the root of the repository. */
  readonly file: string;
  /** Texts of that file, each of which stands there once, and what is written instead. */
  readonly edits: readonly (readonly [found: string, planted: string])[];
}

export interface PlantedBug extends Planted {
  /**
   * The simulator must see it within so many seeds, wherever it begins: twelve times as many as it took in the mean of six
   * beginnings, as each change of the engine plays other schedules.
   */
  readonly seeds: number;
}

/** One that takes a schedule which no seed may ever play. */
export interface ExploredBug extends Planted {
  /** Of which graph all schedules are explored, with which faults, until one of them shows it. */
  readonly explored: { readonly graph: string; readonly faults: string };
}

export function urlOf({ file }: Planted): string {
  return new URL(`../../${file}`, import.meta.url).href;
}

/** What makes the list stale: texts that the file does not have, or has more than once. */
export function staleEdits(bug: Planted): string[] {
  const source = readFileSync(fileURLToPath(urlOf(bug)), "utf8");
  return bug.edits.flatMap(([found]) => {
    const times = source.split(found).length - 1;
    return times === 1 ? [] : [`${bug.file} has it ${times} times: ${found}`];
  });
}

/** The source with the bug in it. */
export function planted(source: string, { name, file, edits }: Planted): string {
  return edits.reduce((text, [found, instead]) => {
    if (text.split(found).length !== 2) throw new Error(`"${name}" cannot be planted: ${file} changed. Mend the list.`);
    return text.replace(found, () => instead);
  }, source);
}
