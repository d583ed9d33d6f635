/**
 * What lists and statistics keep of a run, as a function of the run alone. Whoever keeps them compares the run before and
 * after a change of its status: entries that are new are added, others removed; counts go up and down. So all of it
 * follows from the runs, and every store keeps the same (R10).
 */
import { parseShardFingerprint } from "../definition/shards.ts";
import { mapRunId, parentRunId, parentStepId } from "./child.ts";
import { isTerminal, type RunState, type RunStatus } from "./run-state.ts";

/** Lists that a run is found in, beside those by workflow, status and time; newest first. */
export type Entry =
  | { readonly kind: "tag"; readonly key: string; readonly value: string }
  /** Of the runs that a run has started. */
  | { readonly kind: "parent"; readonly runId: string }
  /** Of failures alike, while the run is failed. */
  | { readonly kind: "failure"; readonly fingerprint: string };

/** What is counted of one run: each name once. */
export type CountName = RunStatus | DurationBucket | "expires";

/** Runs that took about the same time from creation to end. */
export type DurationBucket = `took${number}`;

export interface Count {
  /** UTC day, `2026-11-21`: of the run's creation; of its expiry for `expires`. */
  readonly day: string;
  /** Empty for `expires`, which is counted for all workflows together. */
  readonly workflow: string;
  readonly name: CountName;
}

/** One more failure of its kind. */
export interface FailureSight {
  readonly fingerprint: string;
  readonly workflow: string;
  /** Id of the step that failed. */
  readonly step?: string;
  /** Name of the error. */
  readonly name: string;
  readonly message: string;
  readonly runId: string;
  readonly atMs: number;
}

export interface Projection {
  readonly entries: readonly Entry[];
  readonly counts: readonly Count[];
  readonly failure?: FailureSight;
}

const nothing: Projection = { entries: [], counts: [] };

/** Shards of maps are in no list and no count: their users did not start them. */
export function isListed({ fingerprint }: Pick<RunState, "fingerprint">): boolean {
  return parseShardFingerprint(fingerprint) === undefined;
}

/** @param run `undefined` when there is none, or none any more */
export function project(run: RunState | undefined): Projection {
  if (run === undefined || !isListed(run)) return nothing;
  const failure = failureOf(run);
  return { entries: entriesOf(run, failure), counts: countsOf(run), ...(failure === undefined ? {} : { failure }) };
}

/** What changes in the counts, by Count; changes that cancel each other out are left out. */
export function countChanges(before: Projection, after: Projection): readonly (Count & { readonly by: number })[] {
  const changes = new Map<string, Count & { by: number }>();
  const add = (count: Count, by: number): void => {
    const key = `${count.day} ${count.workflow} ${count.name}`;
    const known = changes.get(key);
    if (known === undefined) changes.set(key, { ...count, by });
    else known.by += by;
  };
  for (const count of before.counts) add(count, -1);
  for (const count of after.counts) add(count, 1);
  return [...changes.values()].filter(({ by }) => by !== 0);
}

/** Tells entries apart, and is the same for the same entry. */
export function entryKey(entry: Entry): string {
  const key = plainKey(entry);
  // Stores keep UTF-8, in which all lone surrogates are the same; as JSON they are escaped, and no other key begins so.
  return key.isWellFormed() ? key : JSON.stringify(key);
}

function plainKey(entry: Entry): string {
  switch (entry.kind) {
    case "tag":
      // The length tells where the key ends, whatever is in it.
      return `t#${entry.key.length}#${entry.key}#${entry.value}`;
    case "parent":
      return `p#${entry.runId}`;
    case "failure":
      return `f#${entry.fingerprint}`;
  }
}

/** The step that its users know as the run's parent: of an item of a map, the map. */
export function listedParent({ runId, parent }: Pick<RunState, "runId" | "parent">): ListedParent | undefined {
  if (parent === undefined) return undefined;
  const id = parentRunId(runId);
  if (parseShardFingerprint(parent.fingerprint) === undefined) return { runId: id, step: parentStepId(runId) };
  const mapRun = mapRunId(id);
  // Behind it come the numbers of shards, with dots, which step ids do not have.
  const [step = ""] = id.slice(mapRun.length + 1).split(".");
  return { runId: mapRun, step };
}

export interface ListedParent {
  readonly runId: string;
  readonly step: string;
}

function entriesOf(run: RunState, failure: FailureSight | undefined): Entry[] {
  const parent = listedParent(run);
  return [
    ...Object.entries(run.tags ?? {}).map(([key, value]): Entry => ({ kind: "tag", key, value })),
    ...(parent === undefined ? [] : [{ kind: "parent", runId: parent.runId } as const]),
    ...(failure === undefined ? [] : [{ kind: "failure", fingerprint: failure.fingerprint } as const]),
  ];
}

function failureOf({ runId, workflow, status, error, endedAtMs }: RunState): FailureSight | undefined {
  if (status !== "failed" || error?.fingerprint === undefined) return undefined;
  const { fingerprint, step, name, message } = error;
  const atMs = endedAtMs ?? 0;
  return { fingerprint, workflow, name, message, runId, atMs, ...(step === undefined ? {} : { step }) };
}

function countsOf({ workflow, status, createdAtMs, endedAtMs, expiresAtMs }: RunState): Count[] {
  const day = dayOf(createdAtMs);
  const counts: Count[] = [{ day, workflow, name: status }];
  if (isTerminal(status) && endedAtMs !== undefined) {
    counts.push({ day, workflow, name: durationBucket(endedAtMs - createdAtMs) });
  }
  if (expiresAtMs !== undefined) counts.push({ day: dayOf(expiresAtMs), workflow: "", name: "expires" });
  return counts;
}

/** UTC. A time that is none, or beyond the year 9999, counts as the nearest that is: a damaged run must not stop others. */
export function dayOf(timeMs: number): string {
  return new Date(Math.min(Math.max(timeMs, 0), lastTimeMs)).toISOString().slice(0, 10);
}

const lastTimeMs = Date.UTC(10_000, 0) - 1;

/** Four buckets for each doubling of the time: the middle of one is within 9 % of all that are in it. */
const bucketsPerDoubling = 4;

export function durationBucket(durationMs: number): DurationBucket {
  return `took${Math.floor(Math.log2(Math.max(durationMs, 0) + 1) * bucketsPerDoubling)}`;
}

/** The middle of the bucket, in ms. `undefined` for a name that is no bucket's. */
export function durationOf(name: string): number | undefined {
  const bucket = /^took(\d{1,3})$/.exec(name)?.[1];
  return bucket === undefined ? undefined : 2 ** ((Number(bucket) + 0.5) / bucketsPerDoubling) - 1;
}

/**
 * The time that this part of the runs took at most, within 9 %.
 *
 * @param part 0.5 is the median
 * @param counts by name; names that are no bucket's do not count. Without any bucket: `undefined`
 */
export function durationAt(part: number, counts: Readonly<Record<string, number>>): number | undefined {
  const buckets = Object.entries(counts)
    .flatMap(([name, count]) => {
      const ms = durationOf(name);
      return ms === undefined || count <= 0 ? [] : [{ ms, count }];
    })
    .toSorted((a, b) => a.ms - b.ms);
  const total = buckets.reduce((sum, { count }) => sum + count, 0);
  let seen = 0;
  for (const { ms, count } of buckets) {
    seen += count;
    if (seen >= part * total) return Math.round(ms);
  }
  return undefined;
}
