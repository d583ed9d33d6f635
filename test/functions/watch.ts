// Stands between a handler and all that it reaches: makes calls slow, or one of them fail, and notes what outlives the handler.
import { onTestFinished } from "vitest";
import type { Clock } from "../../lib/runtime/ports.ts";
import { atRest, VirtualClock } from "../../lib/testing/virtual-clock.ts";

export class Watch {
  readonly virtual = new VirtualClock();
  /** From 1; this call fails at once, so that it is over before all others. */
  failing = 0;
  calls = 0;
  readonly #late: string[] = [];
  readonly #underWay = new Map<number, string>();
  readonly #timers = new Set<string>();
  #isOver = false;

  readonly clock: Clock = {
    now: () => this.virtual.now(),
    after: (delayMs, callback) => {
      const timer = `a timer of ${delayMs} ms`;
      if (this.#isOver) this.#late.push(timer);
      const own = `${timer} #${this.#timers.size}-${this.calls}-${this.virtual.now()}`;
      this.#timers.add(own);
      const cancel = this.virtual.after(delayMs, () => {
        this.#timers.delete(own);
        callback();
      });
      return () => {
        this.#timers.delete(own);
        cancel();
      };
    },
  };

  async call<T>(name: string, perform: () => Promise<T>): Promise<T> {
    const number = ++this.calls;
    if (this.#isOver) this.#late.push(name);
    this.#underWay.set(number, name);
    try {
      if (number === this.failing) throw new Error(`${name} fails on purpose`);
      await atRest(3);
      return await perform();
    } finally {
      this.#underWay.delete(number);
    }
  }

  /** The same object, whose methods are watched. Those that return no promise are only noted. */
  over<T extends object>(name: string, target: T, sync: readonly (keyof T)[] = []): T {
    return new Proxy(target, {
      get: (_, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== "function") return value;
        const path = `${name}.${String(key)}`;
        return (...args: unknown[]): unknown => {
          const perform = (): unknown => Reflect.apply(value, target, args);
          if (!sync.includes(key as keyof T)) return this.call(path, async () => perform());
          if (this.#isOver) this.#late.push(`${path}(${String(args[0])})`);
          return perform();
        };
      },
    });
  }

  /** Lets time pass until it has settled, however; then a day more. @returns what went on when it had */
  async leftBy(handling: Promise<unknown>, goOn: () => void = () => undefined): Promise<readonly string[]> {
    let left: readonly string[] | undefined;
    const ended = (): void => {
      this.#isOver = true;
      left = [...[...this.#underWay.values()].map((name) => `${name} is under way`), ...this.#timers];
    };
    const seen = handling.then(ended, ended);
    for (let look = 0; look < 400 && left === undefined; look++) await this.virtual.advance(1_000);
    if (left === undefined) throw new Error("The handler has not ended within 400 s.");
    await seen;
    goOn();
    await this.virtual.advance(86_400_000);
    return [...left, ...this.#late];
  }
}

/** Promises of users' code that end only when the test lets them. */
export function hanging(): { readonly wait: () => Promise<never>; readonly goOn: () => void } {
  const rejects = new Set<() => void>();
  const goOn = (): void => {
    for (const reject of rejects) reject();
  };
  onTestFinished(goOn);
  return {
    goOn,
    wait: () =>
      new Promise((_, reject) => {
        rejects.add(() => reject(new Error("too late")));
      }),
  };
}
