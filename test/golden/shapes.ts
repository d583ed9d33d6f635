// What is written, reduced to its structure: names, types and the form of texts that we put together.
import type { Fields } from "../../lib/engine/transition.ts";

/** By shape: its places, each with what is found there. */
export class Shapes {
  readonly #places = new Map<string, Set<string>>();

  /** A value that is ours from top to bottom. */
  json(shape: string, value: unknown): void {
    for (const place of placesOf(value, "")) this.add(shape, place);
  }

  /** Fields of a record: their names are numbered by step, or name somebody. */
  fields(shape: string, fields: Fields, formOf: (name: string, value: string | number) => string): void {
    for (const [name, value] of Object.entries(fields)) {
      this.add(shape, `${numbersLeftOut(name.replace(/^@.+/, "@<queue>"))}: ${formOf(name, value)}`);
    }
  }

  add(shape: string, place: string): void {
    const known = this.#places.get(shape) ?? new Set();
    this.#places.set(shape, known.add(place));
  }

  /** In the order of the alphabet, as it is checked in. */
  toJSON(): Record<string, string[]> {
    const sorted = [...this.#places].map(([shape, places]) => [shape, [...places].sort()] as const);
    return Object.fromEntries(sorted.sort(([one], [other]) => (one < other ? -1 : 1)));
  }
}

function placesOf(value: unknown, at: string): string[] {
  if (Array.isArray(value)) {
    // Which dependency a step has, and how many, is not the shape's business.
    return value.length === 0 ? [`${at}[]`] : value.flatMap((one) => placesOf(one, `${at}[]`));
  }
  if (typeof value !== "object" || value === null) return [`${at}: ${value === null ? "null" : typeof value}`];
  return Object.entries(value).flatMap(([name, one]) => placesOf(one, `${at}.${name}`));
}

export function numbersLeftOut(text: string): string {
  return text.replace(/\d+/g, "#");
}

/** `s1.a.b` and its like: the letter says what, the number of parts how much. */
function partsOf(text: string, lastIsName: boolean): string {
  const parts = text.split(".");
  const [head = "", ...rest] = parts;
  return [numbersLeftOut(head), ...rest.map((_, at) => (lastIsName && at === rest.length - 1 ? "name" : "time"))].join(
    ".",
  );
}

/** Of a field of a run. */
export function runFieldForm(name: string, value: string | number): string {
  if (typeof value === "number") return "number";
  if (/^[su]\d/.test(name)) return partsOf(value, value.startsWith("r"));
  if (/^[oiq]\d*$/.test(name)) return value.startsWith("@") ? "text, @key" : "text";
  if (["x", "p", "m"].includes(name))
    return `JSON of ${Object.keys(JSON.parse(value) as object)
      .sort()
      .join(", ")}`;
  if (name === "l") return `${value.split(".").length} parts`;
  return "text";
}
