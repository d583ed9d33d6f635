/** Reads the fields of a stored run one by one: what is not what it should be is told by its name. */
import type { Fields } from "./transition.ts";

/** A stored run that this version cannot read: damaged, or written by a newer one. */
export class StoredRunError extends Error {
  override readonly name = "StoredRunError";

  constructor(runId: string, what: string) {
    super(`Run ${runId} cannot be read: ${what}. It is left as it is; read it with the version of Pawl that wrote it.`);
  }
}

export class FieldReader {
  readonly #runId: string;
  readonly #fields: Fields;

  constructor(runId: string, fields: Fields) {
    this.#runId = runId;
    this.#fields = fields;
  }

  number(name: string): number {
    const value = this.#fields[name];
    if (typeof value === "number") return value;
    throw new StoredRunError(this.#runId, `field ${name} is ${JSON.stringify(value)} instead of a number`);
  }

  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value === "string") return value;
    throw new StoredRunError(this.#runId, `field ${name} is ${JSON.stringify(value)} instead of text`);
  }

  optionalNumber(name: string): number | undefined {
    return this.#fields[name] === undefined ? undefined : this.number(name);
  }

  /** @param texts properties that must be there, as text */
  optionalJson<T extends object>(name: string, texts: readonly string[]): T | undefined {
    if (this.#fields[name] === undefined) return undefined;
    const stored = JSON.stringify(this.#fields[name]);
    let value: unknown;
    try {
      value = JSON.parse(this.text(name));
    } catch {
      throw new StoredRunError(this.#runId, `field ${name} is not JSON: ${stored}`);
    }
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    const isWhole = isObject && texts.every((key) => typeof (value as Record<string, unknown>)[key] === "string");
    if (isWhole) return value as T;
    throw new StoredRunError(this.#runId, `field ${name} lacks what it should hold: ${stored}`);
  }
}
