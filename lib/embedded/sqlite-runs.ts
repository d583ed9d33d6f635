import type { DatabaseSync } from "node:sqlite";
import { limits } from "../definition/limits.ts";
import { runIn } from "../engine/barred.ts";
import type { Fields } from "../engine/transition.ts";
import type { RunStore, WriteResult } from "../runtime/ports.ts";
import { follow } from "../runtime/read-run.ts";
import type { KeepChange, RunChange } from "./backend.ts";
import { nextImage, parseFields } from "./run-image.ts";
import type { ExpiryRows } from "./sqlite-expiry.ts";
import type { GroupCommit } from "./sqlite-group-commit.ts";

/** Runs, payloads and graphs on SQLite. Fields are stored as JSON text, payloads and graphs as they come. */
export function createSqliteRuns(
  db: DatabaseSync,
  cache: RunCache,
  commits: GroupCommit,
  keepChange: KeepChange,
  expiry: ExpiryRows,
  onChange: (change: RunChange) => void,
): RunStore {
  const stored = storedRuns(db);
  const upsertRun = db.prepare(
    "INSERT INTO run (id, fields) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET fields = excluded.fields",
  );
  const deleteRun = db.prepare("DELETE FROM run WHERE id = ?");
  const deletePayloads = db.prepare("DELETE FROM payload WHERE run_id = ?");
  const insertPayload = db.prepare("INSERT INTO payload (run_id, key, json) VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
  const selectPayload = db.prepare("SELECT json FROM payload WHERE run_id = ? AND key = ?");
  // SQLite tells the length of a text without reading it, and reads only what the CASE lets through.
  const selectPayloads = db.prepare(
    "SELECT key, octet_length(json) AS bytes, CASE WHEN octet_length(json) <= ? THEN json END AS json FROM payload WHERE run_id = ?",
  );
  const insertGraph = db.prepare(
    "INSERT INTO graph (workflow, fingerprint, json) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
  );
  const selectGraph = db.prepare("SELECT json FROM graph WHERE workflow = ? AND fingerprint = ?");

  function current(runId: string): Fields | undefined {
    const cached = cache.get(runId);
    if (cached !== undefined) return cached;
    const fields = stored(runId);
    if (fields !== undefined) cache.set(runId, fields);
    return fields;
  }

  return {
    update(runId, transition, told = "now") {
      let change: RunChange | undefined;
      const work = (): WriteResult => {
        const stored = current(runId);
        const after = nextImage(transition, stored);
        const before = runIn(stored);
        change = runIn(after) && after && { runId, before, after };
        if (after === undefined) return { applied: false, fields: before };
        follow(runId, stored, transition, after);
        upsertRun.run(runId, JSON.stringify(after));
        cache.set(runId, after);
        if (change !== undefined) keepChange(runId, before, after);
        return { applied: true, fields: after };
      };
      const publish = (): void => {
        if (change !== undefined) onChange(change);
      };
      return told === "now" ? commits.write(work, publish) : commits.writeSoon(work, undefined, publish);
    },
    remove: (runId, guard) =>
      commits.write(() => {
        const before = current(runId);
        if (before === undefined || nextImage({ guard, set: {} }, before) === undefined) return false;
        if (runIn(before) !== undefined) {
          expiry.beginRemoval(runId, before);
          keepChange(runId, before, undefined);
        }
        deleteRun.run(runId);
        cache.delete(runId);
        deletePayloads.run(runId);
        return true;
      }),
    removeRest: (runId) =>
      commits.writeSoon(() => {
        expiry.endRemoval(runId);
        if (current(runId) === undefined) deletePayloads.run(runId);
      }),
    get: (runId) => commits.read(() => runIn(current(runId))),
    load: (runId) =>
      commits.read(() => {
        const fields = runIn(current(runId));
        if (fields === undefined) return undefined;
        const payloads = new Map<string, string>();
        const larger = new Map<string, number>();
        for (const { key, bytes, json } of selectPayloads.all(limits.shownPayloadBytes, runId)) {
          if (json === null) larger.set(key as string, bytes as number);
          else payloads.set(key as string, json as string);
        }
        return { fields, payloads, larger };
      }),
    putPayload: (runId, key, json) => commits.writeSoon(() => void insertPayload.run(runId, key, json)),
    getPayloads: (runId, keys) =>
      commits.peek(() => {
        const found = new Map<string, string>();
        for (const key of keys) {
          const row = selectPayload.get(runId, key);
          if (row !== undefined) found.set(key, row.json as string);
        }
        return found;
      }),
    putGraph: (workflow, fingerprint, json) =>
      commits.writeSoon(() => void insertGraph.run(workflow, fingerprint, json)),
    getGraph: (workflow, fingerprint) =>
      commits.peek(() => selectGraph.get(workflow, fingerprint)?.json as string | undefined),
  };
}

/**
 * Reads runs one by one, past the cache: whoever reads many must not displace those that are worked on.
 *
 * @param parse of a run's text. @default it throws for one that is damaged
 */
export function storedRuns(db: DatabaseSync, parse = parseFields): (runId: string) => Fields | undefined {
  const selectRun = db.prepare("SELECT fields FROM run WHERE id = ?");
  return (runId) => {
    const row = selectRun.get(runId);
    return row && Object.freeze(parse(runId, row.fields as string));
  };
}

/** Images of the runs written last, as the open transaction sees them: it must be emptied when that is rolled back. */
export class RunCache {
  readonly #images = new Map<string, Fields>();

  get(runId: string): Fields | undefined {
    return this.#images.get(runId);
  }

  set(runId: string, fields: Fields): void {
    // A Map iterates in the order of insertion: what was written last goes to the end, what falls out is at the front.
    this.#images.delete(runId);
    this.#images.set(runId, fields);
    if (this.#images.size > cachedRuns) this.#images.delete(this.#images.keys().next().value as string);
  }

  delete(runId: string): void {
    this.#images.delete(runId);
  }

  clear(): void {
    this.#images.clear();
  }
}

const cachedRuns = 2_000;
