/**
 * Crashes a user's workflow at every point of a run, and tells what that does to it: which steps ran twice, which effects
 * were repeated without a key, and whether the outcome ever differs.
 */
import { isDeepStrictEqual } from "node:util";
import type { Duration } from "../definition/duration.ts";
import type { InputOf, Workflow } from "../definition/workflow.ts";
import { patienceOf } from "./call-code.ts";
import { createReport, type ExploreReport, type Schedule, type Seen } from "./explore-report.ts";
import type { AnyMocks, WorkflowMocks } from "./mocks.ts";
import { calm, type Plan, type Played, play, type Scene, type Script } from "./play.ts";
import { seededFractions } from "./seeded-randomness.ts";
import { plain, type ServiceOptions, Services } from "./services.ts";
import { TestError } from "./test-error.ts";

/** What a workflow that is made for `explore` is made with. */
export interface ExploreTools {
  /**
   * The same service, watched: each of its calls is a point at which the process may crash, and is reported when it is
   * repeated. To be made anew with the workflow, so that each schedule begins with a fresh one.
   */
  service<T extends object>(name: string, service: T, options?: ServiceOptions<T>): T;
}

/** A workflow, or what makes one: it is called once for each schedule. */
export type Explored<W extends Workflow> = W | ((tools: ExploreTools) => W);

export type ExploreOptions<W extends Workflow> = Script & {
  /** Code that stands in for that of steps, as for `createTestEngine`, for this workflow. @default none */
  readonly mock?: WorkflowMocks<W>;
  /** As for `createTestEngine`: of what the compiler does not know, by workflow and step. @default none */
  readonly mockOther?: Readonly<Record<string, AnyMocks>>;
  /** Puts everything outside back to its beginning, before each schedule. @default nothing is to be put back */
  readonly reset?: () => unknown;
  /** What has come of a schedule outside, as JSON values: compared with that of the calm run. @default not looked at */
  readonly effects?: () => unknown;
  /** What of the output is compared, when parts of it differ each time. @default all of it */
  readonly outcome?: (output: unknown) => unknown;
  /** As for `createTestEngine`. Each schedule waits as long for code that does not return. @default the limit of the attempt */
  readonly patience?: Duration;
  /** Crashes in one schedule: 2 adds a sample of schedules with a second crash after the first. @default 1 */
  readonly crashes?: 1 | 2;
  /** Schedules with two crashes. @default 200 */
  readonly samples?: number;
  /** Of the sample. @default 1 */
  readonly seed?: number;
} & (undefined extends InputOf<W> ? { readonly input?: InputOf<W> } : { readonly input: InputOf<W> });

/**
 * Runs the workflow once calmly, then once for each point with a crash there, once for each sending with its messages
 * delivered twice, and once for each moment at which a step has acted with its lease expired there, and compares.
 *
 * @throws {TestError} when the run waits for somebody and nothing is said of what they do, or when two calm runs differ
 */
export async function explore<W extends Workflow>(
  workflow: Explored<W>,
  options: ExploreOptions<W>,
): Promise<ExploreReport> {
  const asyncMethods = new Set<string>();
  const see = async (plan: Plan): Promise<Seen> => {
    await options.reset?.();
    const scene = sceneOf(workflow, options, new Services(asyncMethods));
    return seenOf(await play(scene, plan), options);
  };
  const expected = await see(calm);
  assertSame(expected, await see(calm));
  const schedules = [...everySchedule(expected.played), ...sampledSchedules(expected.played, options)];
  const seen: [Schedule, Seen][] = [];
  for (const schedule of schedules) seen.push([schedule, await see(schedule.plan)]);
  return createReport(expected, seen);
}

function sceneOf<W extends Workflow>(workflow: Explored<W>, options: ExploreOptions<W>, services: Services): Scene {
  const { input, mock = {}, mockOther = {}, signals = {}, answers = {}, callbacks = {}, patience } = options;
  const made: Workflow = typeof workflow === "function" ? workflow({ service: services.service }) : workflow;
  return {
    workflow: made,
    services,
    input,
    mocks: [{ [made.name]: mock }, mockOther],
    script: { signals, answers, callbacks },
    patienceMs: patienceOf(patience),
  };
}

function seenOf<W extends Workflow>(played: Played, { effects, outcome }: ExploreOptions<W>): Seen {
  const { status, error } = played.run;
  const output = outcome === undefined ? played.output : outcome(played.output);
  return {
    played,
    outcome: {
      status,
      ...(output === undefined ? {} : { output: plain(output) }),
      ...(error === undefined ? {} : { error: `${error.name}: ${error.message}` }),
    },
    states: { ...played.states, ...(effects === undefined ? {} : { effects: plain(effects()) }) },
  };
}

function assertSame(first: Seen, second: Seen): void {
  const one = { outcome: first.outcome, ...first.states };
  const other = { outcome: second.outcome, ...second.states };
  if (isDeepStrictEqual(one, other)) return;
  const message = `Two runs in which nothing went wrong differ, so there is nothing to compare with. Make what differs the same each time (clock, random numbers, ids), put services back in reset, or leave it out with outcome.\n  one:   ${JSON.stringify(one)}\n  other: ${JSON.stringify(other)}`;
  throw new TestError(message);
}

/** One fault each, at every place that there is for it. */
function everySchedule({ points, sendings }: Played): Schedule[] {
  const crashes = points.map((point, index) => ({
    kind: "crash",
    plan: { crashes: [index] },
    at: `crash before ${point}`,
  }));
  // Once a step has acted, its code may stand still before its next act, or before its end is committed.
  const stands = points.flatMap((point, index) =>
    isOfCode(point)
      ? [{ kind: "lease", plan: { crashes: [], stands: index }, at: `lease expired before ${point}` }]
      : [],
  );
  const twice = sendings.map((sending, index) => ({
    kind: "twice",
    plan: { crashes: [], twice: index },
    at: `messages delivered three times: ${sending}`,
  }));
  return [...crashes, ...stands, ...twice] as Schedule[];
}

/** The point is a call of a service, or the end of an attempt. */
function isOfCode(point: string): boolean {
  return (
    point.includes(" is called by ") ||
    /^the write ".*(succeeded|failed|backing_off|waiting) \(attempt [1-9]/.test(point)
  );
}

function sampledSchedules<W extends Workflow>(
  { points }: Played,
  { crashes = 1, samples = 200, seed = 1 }: ExploreOptions<W>,
): Schedule[] {
  if (crashes === 1) return [];
  const fraction = seededFractions(seed);
  return Array.from({ length: samples }, () => {
    const first = Math.floor(fraction() * points.length);
    const second = first + 1 + Math.floor(fraction() * points.length);
    const at = `crash before ${points[first] ?? ""}, and again ${second - first} points later`;
    return { kind: "pair", plan: { crashes: [first, second] }, at };
  });
}
