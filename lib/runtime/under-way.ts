/** Work that whoever began it does not wait for: kept for whoever stops it, so that nothing outlives the stop. */
export class UnderWay {
  readonly #work = new Set<Promise<unknown>>();

  add(work: Promise<unknown>): void {
    const drop = (): void => void this.#work.delete(kept);
    const kept = work.then(drop, drop);
    this.#work.add(kept);
  }

  /** Resolves when all of it has ended, what is added meanwhile included, however it ended. */
  async ended(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
  }
}
