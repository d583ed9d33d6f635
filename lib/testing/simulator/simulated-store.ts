/** Run records and what is stored beside them, in memory. Every call of it waits for its turn. */
import { isBarred, runIn } from "../../engine/barred.ts";
import { isRunId } from "../../engine/record-id.ts";
import { applyTransition, type Condition, type Fields, type Transition } from "../../engine/transition.ts";
import type { BlobStore, RunStore, WriteResult } from "../../runtime/ports.ts";
import { withArchives } from "../../runtime/with-archives.ts";
import { withBlobs } from "../../runtime/with-blobs.ts";

/** Asks the world for something: done, or not, when its turn comes. */
export type Call = <T>(label: () => string, perform: () => T, isWrite?: boolean) => Promise<T>;

export interface StoreObserver {
  /** After each write that was applied; what bars an id is told of, too. */
  written(runId: string, before: Fields | undefined, after: Fields, writer: string): void;
  /** Before a run is removed. */
  removed(runId: string, last: Fields): void;
  fail(message: string): never;
}

export class SimulatedStore {
  readonly runs = new Map<string, Fields>();
  /** Runs that are gone, as they were, until their removal has come to its end. */
  readonly removals = new Map<string, Fields>();
  writes = 0;
  readonly #payloads = new Map<string, Map<string, string>>();
  readonly #blobs = new Map<string, string>();
  readonly #graphs = new Map<string, string>();
  /** What was beside runs when they were removed, or was stored while they were. */
  readonly #owned = new Set<string>();
  readonly #observer: StoreObserver;

  constructor(observer: StoreObserver) {
    this.#observer = observer;
  }

  payload(runId: string, key: string): string | undefined {
    return this.#payloads.get(runId)?.get(key);
  }

  hasBlob(key: string): boolean {
    return this.#blobs.has(key);
  }

  /** Everything that is stored beside the runs, by where it lies. */
  *contents(): Generator<readonly [place: string, text: string]> {
    for (const [runId, beside] of this.#payloads) for (const [key, json] of beside) yield [`${runId}/${key}`, json];
    yield* this.#blobs;
    yield* this.#graphs;
  }

  /**
   * Keys of payloads and blobs that removals have left. What was stored for a run that never began, or after the removal
   * had come to its end, is not among them: no removal knows of it.
   */
  leftovers(): string[] {
    return [...this.#owned].filter((at) => {
      const [runId = "", key = ""] = at.split("/");
      return !this.runs.has(runId) && (this.payload(runId, key) !== undefined || this.hasBlob(at));
    });
  }

  /** The port of one writer. */
  portFor(call: Call, writer: string): RunStore {
    return withArchives(withBlobs(this.#recordsFor(call, writer), this.#blobsFor(call)));
  }

  #recordsFor(call: Call, writer: string): RunStore {
    return {
      update: (runId, transition) =>
        call(
          () => `write ${runId} ${JSON.stringify(transition.set)}`,
          () => this.#update(runId, transition, writer),
          true,
        ),
      remove: (runId, guard) =>
        call(
          () => `remove ${runId}`,
          () => this.#remove(runId, guard),
          true,
        ),
      removeRest: (runId) =>
        call(
          () => `remove rest of ${runId}`,
          () => {
            this.#removeBeside(runId);
            this.removals.delete(runId);
          },
          true,
        ),
      get: (runId) =>
        call(
          () => `read ${runId}`,
          () => runIn(this.runs.get(runId)),
        ),
      load: (runId) =>
        call(
          () => `load ${runId}`,
          () => {
            const fields = runIn(this.runs.get(runId));
            const payloads = new Map(this.#payloads.get(runId));
            return fields === undefined ? undefined : { fields, payloads, larger: new Map() };
          },
        ),
      putPayload: (runId, key, json) =>
        call(
          () => `put ${runId}/${key}`,
          () => this.#putPayload(runId, key, json),
          true,
        ),
      getPayloads: (runId, keys) =>
        call(
          () => `payloads ${runId}/${keys.join(", ")}`,
          () => this.#getPayloads(runId, keys),
        ),
      putGraph: (workflow, fingerprint, json) =>
        call(
          () => `put graph ${fingerprint}`,
          () => void this.#graphs.set(`${workflow}#${fingerprint}`, json),
          true,
        ),
      getGraph: (workflow, fingerprint) =>
        call(
          () => `graph ${fingerprint}`,
          () => this.#graphs.get(`${workflow}#${fingerprint}`),
        ),
    };
  }

  #blobsFor(call: Call): BlobStore {
    return {
      put: (key, text) =>
        call(
          () => `put blob ${key}`,
          () => {
            this.#blobs.set(key, text);
            this.#noteStored(key.slice(0, key.indexOf("/")), key);
          },
          true,
        ),
      get: (key) =>
        call(
          () => `blob ${key}`,
          () => this.#blobs.get(key),
        ),
      removeAll: (runId) =>
        call(
          () => `remove blobs of ${runId}`,
          () => {
            for (const key of this.#blobs.keys()) if (key.startsWith(`${runId}/`)) this.#blobs.delete(key);
          },
          true,
        ),
    };
  }

  #update(runId: string, transition: Transition, writer: string): WriteResult {
    const before = this.runs.get(runId);
    const after = applyTransition(transition, before);
    if (after === undefined) return { applied: false, fields: runIn(before) };
    this.writes++;
    this.runs.set(runId, after);
    this.#observer.written(runId, before, after, writer);
    return { applied: true, fields: after };
  }

  #noteStored(runId: string, at: string): void {
    if (this.removals.has(runId)) this.#owned.add(at);
    else this.#owned.delete(at);
  }

  #putPayload(runId: string, key: string, json: string): void {
    this.#noteStored(runId, `${runId}/${key}`);
    const known = this.payload(runId, key);
    if (known === undefined) {
      const beside = this.#payloads.get(runId) ?? new Map<string, string>();
      this.#payloads.set(runId, beside.set(key, json));
    } else if (known !== json && (!isRunId(runId) || key.startsWith("out#"))) {
      this.#observer.fail(`${runId}/${key} was written with two contents`);
    }
  }

  #getPayloads(runId: string, keys: readonly string[]): Map<string, string> {
    const found = new Map<string, string>();
    for (const key of keys) {
      const json = this.payload(runId, key);
      if (json !== undefined) found.set(key, json);
    }
    return found;
  }

  #remove(runId: string, guard: readonly Condition[]): boolean {
    const before = this.runs.get(runId);
    if (before === undefined || applyTransition({ guard, set: {} }, before) === undefined) return false;
    this.runs.delete(runId);
    if (isBarred(before)) return true;
    this.#observer.removed(runId, before);
    for (const key of this.#payloads.get(runId)?.keys() ?? []) this.#owned.add(`${runId}/${key}`);
    for (const at of this.#blobs.keys()) if (at.startsWith(`${runId}/`)) this.#owned.add(at);
    this.removals.set(runId, before);
    this.#removeBeside(runId);
    return true;
  }

  #removeBeside(runId: string): void {
    if (!this.runs.has(runId)) this.#payloads.delete(runId);
  }
}
