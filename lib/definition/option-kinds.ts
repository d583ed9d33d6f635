/**
 * What options are, before anybody looks into them. The compiler checks what TypeScript writes; plain JavaScript, `any` and
 * values from elsewhere get past it, and must meet a fault that says so, not a TypeError from within.
 */
import { shown } from "./shown.ts";

type Report = (option: string, message: string) => void;

interface Kind {
  readonly form: string;
  readonly is: (value: unknown) => boolean;
  /** What is looked into in turn. */
  readonly parts?: Kinds;
}

type Kinds = Readonly<Record<string, Kind>>;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isFunction = (value: unknown): boolean => typeof value === "function";

const code: Kind = { form: "a function", is: isFunction };
const steps: Kind = { form: "a list of steps", is: Array.isArray };
const flag: Kind = { form: "true and false", is: (value) => typeof value === "boolean" };
const amount: Kind = { form: "a number", is: (value) => typeof value === "number" };
const schema: Kind = { form: "a zod schema", is: (value) => isObject(value) && "_zod" in value };
const options = (parts: Kinds): Kind => ({ form: "an object of options", is: isObject, parts });

const backoff = options({ factor: amount });
const retry = options({ maxAttempts: amount, backoff, isRetryable: code });

const stepKinds: Kinds = {
  after: steps,
  afterAny: steps,
  afterFailed: steps,
  afterSettled: steps,
  when: code,
  skipWithDependency: flag,
  idempotent: flag,
  isRetryable: code,
  retry,
  maxAttempts: amount,
  interval: backoff,
  rateLimit: options({}),
  compensate: {
    form: "a function, or an object of options",
    is: (value) => isFunction(value) || isObject(value),
    parts: { retry },
  },
  output: schema,
  payload: schema,
  concurrency: amount,
  onTimeout: {
    form: '"fail", "skip" and { value }',
    is: (value) => isObject(value) || ["fail", "skip"].includes(value as string),
  },
};

const workflowKinds: Kinds = {
  input: schema,
  defaults: options({ retry }),
  concurrency: options({}),
  schedule: options({}),
};

/** The options of a step, without those that are of another kind: these are reported. */
export function stepOptions<Options extends object>(given: Options, report: Report): Options {
  return ofKinds(given, stepKinds, "", report) as Options;
}

/** The options of a workflow, likewise. */
export function workflowOptions<Options extends object>(given: Options, report: Report): Options {
  return ofKinds(given, workflowKinds, "", report) as Options;
}

function ofKinds(given: unknown, kinds: Kinds, within: string, report: Report): object {
  if (!isObject(given)) {
    // Functions may be options, and have none of their own.
    if (isFunction(given)) return given as object;
    report("options", `are ${shown(given)}; allowed is an object.`);
    return {};
  }
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (value === undefined || kind === undefined) kept[name] = value;
    else if (!kind.is(value)) report(`${within}${name}`, `is ${shown(value)}; allowed is ${kind.form}.`);
    else kept[name] = kind.parts === undefined ? value : ofKinds(value, kind.parts, `${within}${name}.`, report);
  }
  return kept;
}
