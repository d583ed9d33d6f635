/**
 * Services of a user's workflow, such as fakes of a bank or a mailer, whose calls are watched: each is a point at which the
 * process may crash, and is recorded as an effect.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { AnyContext, CodeSite } from "./instrument.ts";
import type { Life } from "./life.ts";

/** One call of a service. */
export interface Effect {
  /** `bank.charge` */
  readonly name: string;
  readonly args: readonly unknown[];
  /** Whose code called it; absent for a call from elsewhere. */
  readonly by?: EffectOrigin;
  /** The step's idempotency key was among what it was given. */
  readonly hasKey: boolean;
}

export interface EffectOrigin extends Pick<CodeSite, "workflow" | "step" | "part"> {
  readonly runId: string;
  readonly attempt: number;
  readonly idempotencyKey: string;
}

export interface ServiceOptions<T> {
  /**
   * What the service has come to, e.g. its list of payments, as JSON values: compared with what it comes to when nothing
   * goes wrong. With it, calls may be repeated as long as the end is the same.
   *
   * @default unknown: then a call that is repeated must carry the step's idempotency key
   */
  readonly state?: (service: T) => unknown;
  /** Methods that change nothing or may be repeated at will, such as reads: not recorded. @default none */
  readonly repeatable?: readonly (keyof T & string)[];
}

interface Watched {
  readonly name: string;
  readonly state: (() => unknown) | undefined;
}

/** Code at work, and the process in which it is. */
interface Place {
  readonly life: Pick<Life, "pass">;
  readonly site: CodeSite;
  readonly context: AnyContext;
}

export class Services {
  readonly effects: Effect[] = [];
  readonly #watched: Watched[] = [];
  readonly #places = new AsyncLocalStorage<Place>();
  readonly #asyncMethods: Set<string>;

  /** @param asyncMethods methods that are known to return promises: learnt as they are called */
  constructor(asyncMethods: Set<string>) {
    this.#asyncMethods = asyncMethods;
  }

  /** Calls code of a step so that calls of services are known to be its. */
  within(life: Pick<Life, "pass">, site: CodeSite, context: AnyContext, code: () => unknown): unknown {
    return this.#places.run({ life, site, context }, code);
  }

  /** The same service, watched. */
  readonly service = <T extends object>(name: string, service: T, options: ServiceOptions<T> = {}): T => {
    const { state, repeatable = [] } = options;
    this.#watched.push({ name, state: state && (() => state(service)) });
    return new Proxy(service, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function" || typeof key !== "string") return value;
        const method = value as (...args: readonly unknown[]) => unknown;
        const call = (...args: readonly unknown[]): unknown => Reflect.apply(method, target, args);
        if ((repeatable as readonly string[]).includes(key)) return call;
        return (...args: readonly unknown[]) => this.#call(`${name}.${key}`, args, () => call(...args));
      },
    });
  };

  hasAny(): boolean {
    return this.#watched.length > 0;
  }

  /** What the services have come to, by name; of those that say so. */
  states(): Readonly<Record<string, unknown>> {
    return Object.fromEntries(
      this.#watched.flatMap(({ name, state }) => (state === undefined ? [] : [[name, plain(state())]])),
    );
  }

  #call(name: string, args: readonly unknown[], perform: () => unknown): unknown {
    const place = this.#places.getStore();
    const act = (): unknown => {
      this.effects.push(effectOf(name, args, place));
      const result = perform();
      if (result instanceof Promise) this.#asyncMethods.add(name);
      return result;
    };
    if (place === undefined) return act();
    const { site, context, life } = place;
    const waits = life.pass(`${name} is called by ${describeSite(site)} (attempt ${context.attempt})`);
    if (waits === undefined) return act();
    if (this.#asyncMethods.has(name)) return waits.then(act);
    // Code that does not wait cannot be held up: it is cut off here.
    throw new Error(`The process of this call of ${name} has crashed, as planned.`);
  }
}

export function describeSite({ step, part }: Pick<CodeSite, "step" | "part">): string {
  return part === "run" ? step : `the compensation of ${step}`;
}

function effectOf(name: string, args: readonly unknown[], place: Place | undefined): Effect {
  if (place === undefined) return { name, args: [...args], hasKey: false };
  const { site, context } = place;
  const { runId, attempt, idempotencyKey } = context;
  const { workflow, step, part } = site;
  return {
    name,
    args: args.map(plain),
    by: { workflow, step, part, runId, attempt, idempotencyKey },
    hasKey: mentions(args, idempotencyKey, 0),
  };
}

/** Whether the key is in there, also as part of a text. */
function mentions(value: unknown, key: string, depth: number): boolean {
  if (typeof value === "string") return value.includes(key);
  if (typeof value !== "object" || value === null || depth > 8) return false;
  return Object.values(value).some((part) => mentions(part, key, depth + 1));
}

/** As JSON values, as they are now; `undefined` for what is none. */
export function plain(value: unknown): unknown {
  try {
    const json = JSON.stringify(value, (_key, part: unknown) =>
      part instanceof Map
        ? Object.fromEntries(part as ReadonlyMap<string, unknown>)
        : part instanceof Set
          ? [...part]
          : part,
    ) as string | undefined;
    return json === undefined ? undefined : (JSON.parse(json) as unknown);
  } catch {
    return String(value);
  }
}
