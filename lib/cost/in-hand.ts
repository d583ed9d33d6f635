/** Messages that workers have in hand: since when, and of which runs. */
import { rootRunId } from "../engine/child.ts";

export interface Held {
  readonly body: unknown;
  /** Empty when the message does not tell it. */
  readonly runId: string;
  /** In ms since 1970. */
  readonly sinceMs: number;
}

export class InHand {
  readonly #held = new Map<string, Held>();
  readonly #waiting = new Set<() => void>();

  take(receipt: string, body: unknown, nowMs: number): Held {
    const held = { body, runId: runIdOf(body), sinceMs: nowMs };
    this.#held.set(receipt, held);
    return held;
  }

  get(receipt: string): Held | undefined {
    return this.#held.get(receipt);
  }

  /** When it is settled, however that ends: a message that could not be given back comes again by another receipt. */
  async drop<T>(receipt: string, settled: Promise<T>): Promise<T> {
    try {
      return await settled;
    } finally {
      this.#held.delete(receipt);
      for (const look of this.#waiting) look();
    }
  }

  /** Resolves when no message of the run is in hand, nor of any that belongs to the same root. */
  async ended(runId: string): Promise<void> {
    const root = rootRunId(runId);
    const isHeld = (): boolean => [...this.#held.values()].some((held) => rootRunId(held.runId) === root);
    if (!isHeld()) return;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (isHeld()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
    });
  }
}

/** Bodies come off the wire. */
export function runIdOf(body: unknown): string {
  const { runId } = (body ?? {}) as { readonly runId?: unknown };
  return typeof runId === "string" ? runId : "";
}
