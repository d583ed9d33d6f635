/** Reads the fields of a stored run one by one: what is not what it should be is told by its name. */
import { limits } from "../definition/limits.ts";
import type { Fields } from "./transition.ts";

/** Something stored or sent that this version cannot read: damaged, or written by a newer one. Nobody writes to it. */
export class StoredShapeError extends Error {
  override readonly name: string = "StoredShapeError";

  /**
   * @param what it is, and which: `Graph order#Zk3vQ0x9`
   * @param problem a sentence about it, without its end
   */
  constructor(what: string, problem: string) {
    super(`${what} cannot be read: ${problem}. It is left as it is; read it with the version of Pawl that wrote it.`);
  }
}

export class StoredRunError extends StoredShapeError {
  override readonly name = "StoredRunError";

  constructor(runId: string, problem: string) {
    super(`Run ${runId}`, problem);
  }
}

/** What is wrong with a shape of a newer version. */
export function otherVersion(found: unknown, known: number): string {
  return `its shape has version ${shown(found)}, and this version of Pawl knows ${known}`;
}

/** A stored value in a message: what is damaged may be of any size. */
export function shown(value: unknown): string {
  const text = (JSON.stringify(value) as string | undefined) ?? "undefined";
  return text.length <= shownLength ? text : `${text.slice(0, shownLength)}…`;
}

const shownLength = 200;

/** The last time that a date can hold. */
const lastTimeMs = 8.64e15;

/** Whether it is a time after 1970 that can be told as a date. */
export function isTime(timeMs: number): boolean {
  return timeMs >= 0 && timeMs <= lastTimeMs;
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
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.wrong(name, "a number");
  }

  /** Counted up by redrives: whoever goes through all of them relies on that there are few. */
  epoch(name: string): number {
    const value = this.number(name);
    if (Number.isInteger(value) && value >= 0 && value <= limits.redrives) return value;
    throw this.wrong(name, "an epoch");
  }

  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value === "string") return value;
    throw this.wrong(name, "text");
  }

  /** In ms, of a field that counts in units of so many of them. */
  time(name: string, unitMs = 1): number {
    const value = this.number(name) * unitMs;
    if (isTime(value)) return value;
    throw this.wrong(name, "a time");
  }

  optionalTime(name: string, unitMs?: number): number | undefined {
    return this.#fields[name] === undefined ? undefined : this.time(name, unitMs);
  }

  optionalNumber(name: string): number | undefined {
    return this.#fields[name] === undefined ? undefined : this.number(name);
  }

  /** @param texts properties that must be there, as text. @default all that are there */
  optionalJson<T extends object>(name: string, texts?: readonly string[]): T | undefined {
    if (this.#fields[name] === undefined) return undefined;
    const stored = shown(this.#fields[name]);
    let value: unknown;
    try {
      value = JSON.parse(this.text(name));
    } catch {
      throw this.fault(`field ${name} is not JSON: ${stored}`);
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      const found = value as Record<string, unknown>;
      if ((texts ?? Object.keys(found)).every((key) => typeof found[key] === "string")) return value as T;
    }
    throw this.fault(`field ${name} lacks what it should hold: ${stored}`);
  }

  wrong(name: string, wanted: string): StoredRunError {
    return this.fault(`field ${name} is ${shown(this.#fields[name])} instead of ${wanted}`);
  }

  fault(problem: string): StoredRunError {
    return new StoredRunError(this.#runId, problem);
  }
}
