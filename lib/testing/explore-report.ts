/** What `explore` has found, as values and as text. */
import { isDeepStrictEqual } from "node:util";
import type { StepCall } from "./calls.ts";
import type { Plan, Played } from "./play.ts";
import { describeSite, type Effect } from "./services.ts";

/** One way in which things went wrong. */
export interface Schedule {
  readonly kind: "crash" | "lease" | "twice" | "pair";
  readonly plan: Plan;
  /** In words. */
  readonly at: string;
}

/** What came of one schedule. */
export interface Seen {
  readonly played: Played;
  readonly outcome: Outcome;
  /** What services, and the `effects` of the options, have come to, by name. */
  readonly states: Readonly<Record<string, unknown>>;
}

export interface Outcome {
  readonly status: string;
  readonly output?: unknown;
  readonly error?: string;
}

export interface ExploreReport {
  /** What is wrong, a sentence each; none when the workflow stands everything that was tried. */
  readonly problems: readonly string[];
  /** Points of the calm run at which a crash was tried. */
  readonly points: number;
  /** Schedules that were tried, by what went wrong in them. */
  readonly schedules: { readonly crash: number; readonly lease: number; readonly twice: number; readonly pair: number };
  /** Steps whose code ran more often than in the calm run: no fault, as a step may always run again. */
  readonly ranAgain: readonly RanAgain[];
  /** Calls of services that were made more often than in the calm run. */
  readonly repeated: readonly RepeatedEffect[];
  /** Steps that do harm when they run again: `charge`, or `the compensation of charge`. */
  readonly notIdempotent: readonly string[];
  /** Where a schedule ended otherwise than the calm run. */
  readonly differences: readonly Difference[];
  /** All of it, for people. */
  toString(): string;
}

/** Where something was seen. */
interface Where {
  /** The first that showed it, or showed the worst of it, in words. */
  readonly schedule: string;
  /** Schedules that showed it. */
  readonly schedules: number;
}

export interface RanAgain extends Where {
  readonly step: string;
  /** Calls in that schedule. */
  readonly times: number;
}

export interface RepeatedEffect extends Where {
  /** `bank.charge` */
  readonly effect: string;
  readonly step: string;
  /** All of the calls carried the step's idempotency key. */
  readonly sameKey: boolean;
  /** What the service came to was another then. Absent when nobody knows what it comes to. */
  readonly harm?: boolean;
}

export interface Difference extends Where {
  /** `outcome`, the name of a service, or `effects`. */
  readonly of: string;
  readonly calm: unknown;
  readonly found: unknown;
}

export function createReport(expected: Seen, seen: readonly (readonly [Schedule, Seen])[]): ExploreReport {
  const ranAgain = new Collected<RanAgain>((one, other) => other.times > one.times);
  const repeated = new Collected<RepeatedEffect>();
  const differences = new Collected<Difference>();
  for (const [{ at }, found] of seen) {
    for (const again of stepsAgain(expected.played.calls, found.played.calls)) ranAgain.add(again.step, at, again);
    const changed = differencesOf(expected, found);
    for (const difference of changed) differences.add(difference.of, at, difference);
    for (const effect of effectsAgain(expected.played.effects, found.played.effects)) {
      const service = effect.effect.slice(0, effect.effect.indexOf("."));
      const harm = service in expected.states ? { harm: changed.some(({ of }) => of === service) } : {};
      repeated.add(JSON.stringify([effect, harm]), at, { ...effect, ...harm });
    }
  }
  // Where it is known what a service comes to, that decides; else the key does.
  const harmful = repeated.all().filter(({ sameKey, harm = !sameKey }) => harm);
  const count = (kind: Schedule["kind"]): number => seen.filter(([schedule]) => schedule.kind === kind).length;
  const found: Omit<ExploreReport, "toString"> = {
    problems: [
      ...harmful.map((one) => harmText(one, seen.length)),
      ...differences.all().map((one) => differenceText(one, seen.length)),
    ],
    points: expected.played.points.length,
    schedules: { crash: count("crash"), lease: count("lease"), twice: count("twice"), pair: count("pair") },
    ranAgain: ranAgain.all(),
    repeated: repeated.all(),
    notIdempotent: [...new Set(harmful.map(({ step }) => step))],
    differences: differences.all(),
  };
  return { ...found, toString: () => textOf(found, expected) };
}

/** One of each kind, with the first schedule that showed it and how many did. */
class Collected<T extends Where> {
  readonly #found = new Map<string, T>();
  readonly #worse: (one: T, other: Omit<T, keyof Where>) => boolean;

  /** @param worse whether the one that was found later is to be shown instead */
  constructor(worse: (one: T, other: Omit<T, keyof Where>) => boolean = () => false) {
    this.#worse = worse;
  }

  add(kind: string, schedule: string, one: Omit<T, keyof Where>): void {
    const known = this.#found.get(kind);
    const shown = known === undefined || this.#worse(known, one) ? { ...one, schedule } : known;
    this.#found.set(kind, { ...shown, schedules: (known?.schedules ?? 0) + 1 } as T);
  }

  all(): readonly T[] {
    return [...this.#found.values()];
  }
}

function stepsAgain(calm: readonly StepCall[], found: readonly StepCall[]): Omit<RanAgain, keyof Where>[] {
  const before = countBy(calm, callKey);
  const times = new Map<string, number>();
  for (const [key, { count, first }] of countBy(found, callKey)) {
    const step = describeSite(first);
    if (count > (before.get(key)?.count ?? 0)) times.set(step, Math.max(count, times.get(step) ?? 0));
  }
  return [...times].map(([step, count]) => ({ step, times: count }));
}

function callKey({ idempotencyKey, part }: StepCall): string {
  return `${idempotencyKey} ${part}`;
}

function effectsAgain(calm: readonly Effect[], found: readonly Effect[]): Omit<RepeatedEffect, keyof Where>[] {
  const key = ({ name, by }: Effect): string => `${name} ${by?.idempotencyKey} ${by?.part}`;
  const before = countBy(calm, key);
  return [...countBy(found, key)].flatMap(([named, { count, first, all }]) => {
    const expected = before.get(named)?.count ?? 0;
    if (count <= Math.max(1, expected) || first.by === undefined) return [];
    return [{ effect: first.name, step: describeSite(first.by), sameKey: all.every(({ hasKey }) => hasKey) }];
  });
}

function countBy<T>(
  list: readonly T[],
  keyOf: (one: T) => string,
): Map<string, { readonly count: number; readonly first: T; readonly all: readonly T[] }> {
  const counted = new Map<string, { count: number; first: T; all: T[] }>();
  for (const one of list) {
    const known = counted.get(keyOf(one)) ?? { count: 0, first: one, all: [] };
    counted.set(keyOf(one), { count: known.count + 1, first: known.first, all: [...known.all, one] });
  }
  return counted;
}

function differencesOf(expected: Seen, found: Seen): Omit<Difference, keyof Where>[] {
  const one: Readonly<Record<string, unknown>> = { ...expected.states, outcome: expected.outcome };
  const other: Readonly<Record<string, unknown>> = { ...found.states, outcome: found.outcome };
  return Object.keys(one).flatMap((of) =>
    isDeepStrictEqual(one[of], other[of]) ? [] : [{ of, calm: one[of], found: other[of] }],
  );
}

function harmText({ effect, step, sameKey, harm, ...where }: RepeatedEffect, of: number): string {
  const service = JSON.stringify(effect.slice(0, effect.indexOf(".")));
  const how = `it can call ${effect} again ${sameKey ? "with" : "without"} its idempotencyKey`;
  const result = harm === true ? `, and then ${service} comes to something else` : "";
  const remedy = sameKey ? `Let ${service} honour the key` : "Pass it the key, or make it repeatable otherwise";
  return `Step "${step}" is not idempotent: ${how}${result} (${whereText(where, of)}). ${remedy}.`;
}

function differenceText({ of: what, calm, found, ...where }: Difference, of: number): string {
  const subject = what === "outcome" ? "The outcome" : `What ${JSON.stringify(what)} has come to`;
  return `${subject} differs (${whereText(where, of)}):\n      calm: ${JSON.stringify(calm)}\n      then: ${JSON.stringify(found)}`;
}

function whereText({ schedule, schedules }: Where, of: number): string {
  return `in ${schedules} of ${of} schedules, the first: ${schedule}`;
}

function textOf(report: Omit<ExploreReport, "toString">, expected: Seen): string {
  const { points, schedules, ranAgain, repeated, problems } = report;
  const { crash, lease, twice, pair } = schedules;
  const pairs = pair === 0 ? "" : `, ${pair} sampled pairs of crashes`;
  const lines = [
    `The calm run has ${points} points and is ${expected.outcome.status}.`,
    `Tried: ${crash} crashes (every point), ${lease} expired leases, ${twice} messages delivered again${pairs}.`,
    ...section(
      "Ran again",
      ranAgain.map(({ step, times, schedule }) => `${step}, up to ${times} times; first: ${schedule}`),
    ),
    ...section(
      "Effects repeated",
      repeated.map(
        ({ effect, step, sameKey, schedule }) =>
          `${effect} by ${step}, ${sameKey ? "under the same idempotency key" : "without the idempotency key"}; first: ${schedule}`,
      ),
    ),
    ...(problems.length === 0 ? ["No problems."] : section("Problems", problems)),
  ];
  return lines.join("\n");
}

function section(head: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : [`${head}:`, ...items.map((item) => `  - ${item}`)];
}
