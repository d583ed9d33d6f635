import type { Logger } from "../runtime/ports.ts";

/** Tells listeners of what happened, in order. */
export interface Feed<T> {
  readonly subscribe: (listener: Listener<T>) => () => void;
  readonly publish: (item: T) => void;
}

/** What it returns is not waited for; a promise that it returns may reject. */
export type Listener<T> = (item: T) => unknown;

/**
 * Every listener hears every item in the order of publication, also when a listener causes the next item while it runs.
 * A listener that throws or rejects is logged: it must not fail the write that has already happened, nor the other listeners.
 */
export function createFeed<T = void>(name: string, logger: Logger): Feed<T> {
  const listeners = new Set<Listener<T>>();
  const waiting: T[] = [];
  let draining = false;

  function report(error: unknown): void {
    logger.error(`A listener of ${name} threw. It missed nothing else; fix the listener.`, { error });
  }

  function tell(item: T): void {
    for (const listener of listeners) {
      try {
        const result = listener(item);
        // eslint-disable-next-line no-restricted-syntax -- it is the listener's own, who knows when it has ended; only its failure is told here
        if (result instanceof Promise) result.catch(report);
      } catch (error) {
        report(error);
      }
    }
  }

  return {
    subscribe(listener) {
      // Wrapped, so that the same function subscribed twice is two subscriptions.
      const own: Listener<T> = (item) => listener(item);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    publish(item) {
      if (listeners.size === 0) return;
      waiting.push(item);
      if (draining) return;
      draining = true;
      // Goes on over what listeners publish meanwhile.
      for (const next of waiting) tell(next);
      waiting.length = 0;
      draining = false;
    },
  };
}
