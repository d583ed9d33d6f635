/**
 * What each process was told since it last had nothing to do: messages, answers of its port calls, and times at which its
 * timers may have fired. Its code is deterministic and knows nothing else, so equal histories mean equal memories.
 */
import type { Fields } from "../../engine/transition.ts";
import { type Gate, labelOf, type Machinery } from "./machinery.ts";
import type { Process } from "./processes.ts";

export class Histories {
  readonly #machinery: Machinery;
  readonly #told = new WeakMap<Process, string[]>();
  /** What a process keeps although it has nothing to do: graphs that it has stored or read. */
  readonly #kept = new WeakMap<Process, Set<string>>();

  constructor(machinery: Machinery) {
    this.#machinery = machinery;
  }

  /** The process begins something. */
  begins(process: Process, what: string): void {
    this.#add(process, `${what} at ${this.#machinery.clock.now()}`);
  }

  /** The same call, which writes down what it is answered. */
  watched(gate: Gate): Gate {
    const { process } = gate;
    const isAlone = this.#machinery.gates.every((other) => other === gate || other.process !== process);
    // Without another, the call is a consequence of what was told before.
    const name = isAlone ? "" : labelOf(gate);
    return {
      ...gate,
      resolve: (answer) => {
        const label = gate.label();
        if (/^(put )?graph /.test(label)) this.#keeps(process, label);
        this.#add(process, `${name}=${textOf(answer)}`);
        gate.resolve(answer);
      },
      reject: (error) => {
        this.#add(process, `${name} failed: ${error.name}`);
        gate.reject(error);
      },
    };
  }

  /** Its timers may have fired. */
  timePassed(process: Process): void {
    if (this.#told.has(process)) this.#add(process, `time ${this.#machinery.clock.now()}`);
  }

  /** The process has nothing to do any more. */
  rests(process: Process): void {
    this.#told.delete(process);
  }

  textOf(process: Process): string {
    const kept = [...(this.#kept.get(process) ?? [])].sort();
    return `${kept.join(",")}|${(this.#told.get(process) ?? []).join("\n")}`;
  }

  #add(process: Process, line: string): void {
    const told = this.#told.get(process);
    if (told === undefined) this.#told.set(process, [line]);
    else told.push(line);
  }

  #keeps(process: Process, what: string): void {
    const kept = this.#kept.get(process) ?? new Set();
    this.#kept.set(process, kept.add(what));
  }
}

const texts = new WeakMap<Fields, string>();

/** A record as text, whatever the order in which its fields were written. */
export function fieldsText(fields: Fields | undefined): string {
  if (fields === undefined) return "none";
  const known = texts.get(fields);
  if (known !== undefined) return known;
  const text = JSON.stringify(Object.entries(fields).sort(([one], [other]) => (one < other ? -1 : 1)));
  texts.set(fields, text);
  return text;
}

function textOf(answer: unknown): string {
  if (answer === null || typeof answer !== "object") return String(answer);
  if (answer instanceof Map) return JSON.stringify([...answer]);
  if ("applied" in answer) return `${String(answer.applied)} ${fieldsText((answer as { fields?: Fields }).fields)}`;
  if ("payloads" in answer && "fields" in answer)
    return `${fieldsText(answer.fields as Fields)} ${textOf(answer.payloads)}`;
  return fieldsText(answer as Fields);
}
