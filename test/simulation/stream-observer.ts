// The lifecycle side of a world: the table's stream of its changes, brought late, in parts and more than once, to what
// keeps counts and lists and tells the world outside. The stream is as DynamoDB's: changes of one item stay in their order; a
// part that fails comes again from its beginning, and what was done of it is done again.

import { keyId, lastEntryWrites, type ProjectedChange, projectChange } from "../../lib/aws/projection-writes.ts";
import { lifecycleEvent } from "../../lib/engine/lifecycle.ts";
import { countChanges, project } from "../../lib/engine/projection.ts";
import { isRunId } from "../../lib/engine/record-id.ts";
import { type Evidence, Violation } from "../../lib/testing/simulator/evidence.ts";
import type { RecordChange } from "../../lib/testing/simulator/world.ts";

interface Shard {
  readonly records: RecordChange[];
  /** Those before it are done. */
  done: number;
}

const shardCount = 2;
const batchMost = 4;

export class StreamObserver {
  readonly #random: () => number;
  readonly #shards: readonly Shard[] = Array.from({ length: shardCount }, () => ({ records: [], done: 0 }));
  /** Every change of a status, in its order, by run: what must have been told in the end. */
  readonly #expected = new Map<string, string[]>();
  /** Ids of the events that were told, without repeats, by run. */
  readonly #told = new Map<string, string[]>();
  readonly #counted = new Set<string>();
  readonly #counts = new Map<string, number>();
  readonly #entries = new Set<string>();

  /** @param random decides what comes when: of its own, so that whoever looks on changes nothing */
  constructor(random: () => number) {
    this.#random = random;
  }

  changed(change: RecordChange, seen: Evidence): void {
    const { runId, before, after } = change;
    if (!isRunId(runId)) return;
    const event = after === undefined ? undefined : lifecycleEvent(runId, before, after);
    if (event !== undefined) append(this.#expected, runId, event.id);
    const shard = this.#shards[runId.length % shardCount];
    shard?.records.push(change);
    if (this.#random() < 0.3) this.#deliver(seen);
  }

  /** Brings all that is left, and compares with what the runs themselves say. */
  finish(seen: Evidence): void {
    while (this.#shards.some(({ records, done }) => done < records.length)) this.#deliver(seen);
    for (const [runId, ids] of this.#expected) {
      const told = this.#told.get(runId) ?? [];
      if (told.join() !== ids.join())
        throw new Violation(`R9: ${runId} changed as ${ids.join()}, and ${told.join()} was told`);
    }
    this.#compareCounts(seen);
    this.#compareEntries(seen);
  }

  /** A part of one shard. It may fail after any number of its records, in the middle of what is to be done of one. */
  #deliver(seen: Evidence): void {
    const shard = this.#shards[Math.floor(this.#random() * shardCount)];
    if (shard === undefined) return;
    const batch = shard.records.slice(shard.done, shard.done + 1 + Math.floor(this.#random() * batchMost));
    const isCutShort = this.#random() < 0.3;
    const reached = isCutShort ? Math.floor(this.#random() * (batch.length + 1)) : batch.length;
    const some = batch.slice(0, reached);
    for (const change of some) this.#tell(change);
    // The same order as the function's: what was told may not be kept yet when it fails.
    const kept = isCutShort && this.#random() < 0.5 ? [] : some.map((change) => projected(change, seen));
    this.#keep(kept);
    if (!isCutShort) shard.done += batch.length;
  }

  #tell({ runId, before, after }: RecordChange): void {
    const event = after === undefined ? undefined : lifecycleEvent(runId, before, after);
    // Whoever is told goes by the id.
    if (event !== undefined && this.#told.get(runId)?.includes(event.id) !== true) append(this.#told, runId, event.id);
  }

  #keep(changes: readonly (ProjectedChange | undefined)[]): void {
    for (const { key, put } of lastEntryWrites(changes)) {
      if (put === undefined) this.#entries.delete(keyId(key));
      else this.#entries.add(keyId(key));
    }
    for (const change of changes) {
      if (change === undefined || this.#counted.has(`${change.second} ${change.id}`)) continue;
      this.#counted.add(`${change.second} ${change.id}`);
      for (const count of change.counts) {
        const key = `${count.day} ${count.workflow} ${count.name}`;
        this.#counts.set(key, (this.#counts.get(key) ?? 0) + count.by);
      }
    }
  }

  #compareCounts(seen: Evidence): void {
    const recounted = new Map<string, number>();
    for (const run of seen.allRuns()) {
      for (const { day, workflow, name, by } of countChanges(project(undefined), project(run))) {
        const key = `${day} ${workflow} ${name}`;
        recounted.set(key, (recounted.get(key) ?? 0) + by);
      }
    }
    for (const key of new Set([...recounted.keys(), ...this.#counts.keys()])) {
      const [kept, is] = [this.#counts.get(key) ?? 0, recounted.get(key) ?? 0];
      if (kept !== is) throw new Violation(`R9: the count "${key}" is kept as ${kept}; a recount says ${is}`);
    }
  }

  #compareEntries(seen: Evidence): void {
    const should = new Set<string>();
    for (const run of seen.allRuns()) {
      const added = projectChange({ second: 0, before: undefined, after: run });
      for (const { key } of added?.entries ?? []) should.add(keyId(key));
    }
    const extra = [...this.#entries].find((entry) => !should.has(entry));
    const missing = [...should].find((entry) => !this.#entries.has(entry));
    if (extra !== undefined) throw new Violation(`R9: the lists have ${extra}, and no run says so`);
    if (missing !== undefined) throw new Violation(`R9: the lists lack ${missing}`);
  }
}

function projected({ runId, before, after, atMs }: RecordChange, seen: Evidence): ProjectedChange | undefined {
  return projectChange({
    second: Math.floor(atMs / 1_000),
    before: before && seen.decoded(runId, before),
    after: after && seen.decoded(runId, after),
  });
}

function append(to: Map<string, string[]>, key: string, value: string): void {
  const known = to.get(key);
  if (known === undefined) to.set(key, [value]);
  else known.push(value);
}
