// Counts the states that worlds were in, all together: what is stored of all runs of a world, after each write. Times, ids and
// contents are left out: of each run its graph, its status and epoch, of each step its status and attempt, whether a signal,
// a question or an answer is kept for it, how far its undoing is, and whether its run has its turn. Two states of one world
// count as one when all of that is alike.
//
// Each state is a hash of 32 bits, and marks one of 2^30 places of a bitmap that all workers share. Different states may share a
// place, so the count is a lower bound: of 30 million states less than 2 % are missed.

import { isRunId } from "../../lib/engine/record-id.ts";
import type { RunState, StepState } from "../../lib/engine/run-state.ts";
import type { WorldOptions } from "../../lib/testing/simulator/world.ts";

const places = 2 ** 30;

export function createStates(): SharedArrayBuffer {
  return new SharedArrayBuffer(places / 8);
}

export class States {
  readonly #bits: Int32Array;
  /** Marked by this one, and by nobody before. */
  found = 0;
  readonly #texts = new Map<string, number>();

  constructor(shared: SharedArrayBuffer) {
    this.#bits = new Int32Array(shared);
  }

  /** Sees the changes of one world. */
  watch(): NonNullable<WorldOptions["onChange"]> {
    const hashes = new Map<string, number>();
    let all = 0;
    return ({ runId, after }, seen) => {
      if (!isRunId(runId)) return;
      const hash = after === undefined ? 0 : this.#hashOf(seen.decoded(runId, after));
      // The order of the runs makes no difference.
      all ^= (hashes.get(runId) ?? 0) ^ hash;
      hashes.set(runId, hash);
      this.#mark(mix(all, 0x51ed270b) >>> 2);
    };
  }

  #mark(place: number): void {
    const bit = 1 << (place & 31);
    const before = Atomics.or(this.#bits, place >>> 5, bit);
    if ((before & bit) === 0) this.found++;
  }

  #hashOf(run: RunState): number {
    let hash = mix(this.#textHash(run.runId), this.#textHash(run.fingerprint));
    hash = mix(hash, this.#textHash(run.status) + run.epoch);
    hash = mix(hash, this.#textHash(run.slot?.status ?? "") + this.#textHash(run.unwindTo ?? ""));
    const { steps, undos, signals, interrupts } = run;
    for (let at = 0; at < Math.max(steps.length, undos.length); at++) {
      hash = mix(hash, this.#stepHash(steps[at]));
      hash = mix(hash, this.#stepHash(undos[at]));
      const { answers = [], pending } = interrupts[at] ?? {};
      const hasSignal = signals[at]?.payload !== undefined;
      hash = mix(hash, answers.length * 4 + (pending === undefined ? 0 : 2) + (hasSignal ? 1 : 0));
    }
    return hash;
  }

  #stepHash(step: StepState | undefined): number {
    return step === undefined ? 0 : this.#textHash(step.status) + step.attempt;
  }

  #textHash(text: string): number {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    let hash = 0;
    for (let at = 0; at < text.length; at++) hash = mix(hash, text.charCodeAt(at));
    this.#texts.set(text, hash);
    return hash;
  }
}

/** One round of MurmurHash3 and its end. */
function mix(hash: number, value: number): number {
  let mixed = Math.imul(value, 0xcc9e2d51);
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593) ^ hash;
  mixed = Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}
