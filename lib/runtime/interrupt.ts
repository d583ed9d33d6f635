/**
 * The questions of one attempt. The code is given the answers that there are, in the order of its questions; the first
 * question without one parks the step.
 *
 * Invariants:
 * 1. A question that was asked parks the step, whatever the code does with what `ask` throws.
 * 2. An answer reaches the code only as the code's own schema makes it; one that it refuses is asked for again.
 */
import type * as z from "zod";
import { prettifyError } from "zod/v4/core";
import { FatalError } from "../definition/errors.ts";
import { deserialize, serialize } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import type { Interrupts } from "../engine/run-state.ts";
import { jsonSchemaOf } from "./json-schema.ts";
import { truncate } from "./step-data.ts";

/** As it is stored, and shown to whoever is to answer. */
export interface Question {
  readonly payload?: unknown;
  /** JSON Schema of the answer; `null` when JSON Schema cannot tell it. */
  readonly schema: Readonly<Record<string, unknown>> | null;
  /** Why the code refused the answer that was given before. */
  readonly rejected?: string;
}

export interface AskedQuestion {
  readonly json: string;
  /** How many answers come before it. */
  readonly index: number;
}

export class AttemptInterrupts {
  readonly #answers: readonly string[];
  #asked = 0;
  #open: AskedQuestion | undefined;

  /** @param answers as JSON, in the order of their questions */
  constructor(answers: readonly string[]) {
    this.#answers = answers;
  }

  readonly ask = <Schema extends z.ZodType>(payload: unknown, schema: Schema): Promise<z.output<Schema>> => {
    const asked = this.#ask(payload, schema);
    // eslint-disable-next-line no-restricted-syntax -- code that does not await it is parked all the same, by the question itself
    asked.catch(() => undefined);
    return asked;
  };

  /** The first question without an answer that the code takes; `undefined` when it asked none. */
  get open(): AskedQuestion | undefined {
    return this.#open;
  }

  async #ask<Schema extends z.ZodType>(payload: unknown, schema: Schema): Promise<z.output<Schema>> {
    const index = this.#asked++;
    if (index >= limits.interruptsPerStep) {
      const most = limits.interruptsPerStep;
      throw new InvalidInterrupt(
        `interrupt() was called more than ${most} times; at most ${most} are allowed in a step.`,
      );
    }
    const answer = this.#answers[index];
    if (answer === undefined) throw this.#park(index, payload, schema);
    const parsed = await schema.safeParseAsync(deserialize(answer));
    if (!parsed.success) throw this.#park(index, payload, schema, prettifyError(parsed.error));
    return parsed.data;
  }

  #park(index: number, payload: unknown, schema: z.ZodType, rejected?: string): Error {
    const question: Question = {
      ...(payload === undefined ? {} : { payload }),
      schema: jsonSchemaOf(schema),
      ...(rejected === undefined ? {} : { rejected: truncate(rejected, limits.errorMessageLength) }),
    };
    const serialized = serialize(question, "The question of interrupt()");
    if (!serialized.ok) return new InvalidInterrupt(serialized.message);
    // Of questions that are asked at the same time, the first one counts; the others are asked anew.
    if (this.#open === undefined || index < this.#open.index) this.#open = { json: serialized.json, index };
    return new StepParked(
      "The step waits for the answer to its interrupt; its code runs again when the answer is there.",
    );
  }
}

/** The record of a step that parks on its attempt's open question. */
export function parkedOn({ index }: AskedQuestion, before: Interrupts | undefined, id: string): Interrupts {
  return { answers: (before?.answers ?? []).slice(0, index), pending: id };
}

/** Ends the code that asked. Nobody but code that catches it sees it. */
class StepParked extends Error {
  override readonly name = "StepParked";
}

/** A question that cannot be stored: asking it again would not change that. */
class InvalidInterrupt extends FatalError {
  override readonly name = "InvalidInterrupt";
}
