/** Keeps the histories of all runs of a storage, told by its committed writes. */
import type { Graph } from "../definition/graph.ts";
import { deriveGraph, parseShardFingerprint } from "../definition/shards.ts";
import type { Workflow } from "../definition/workflow.ts";
import type { EmbeddedBackend } from "../embedded/backend.ts";
import { decodeRun } from "../engine/codec.ts";
import { isRunId } from "../engine/record-id.ts";
import type { RunState } from "../engine/run-state.ts";
import type { Clock } from "../runtime/ports.ts";
import { entriesOf, type HistoryEntry } from "./history.ts";

export class Histories {
  readonly #workflows: ReadonlyMap<string, Workflow>;
  readonly #clock: Pick<Clock, "now">;
  readonly #entries = new Map<string, HistoryEntry[]>();
  readonly #runs = new Map<string, RunState>();
  /** What attempts failed with, by run and key: stored before the write that tells of the failure. */
  readonly #errors = new Map<string, Map<string, string>>();
  readonly #onEntries: (entries: readonly HistoryEntry[]) => void;
  #writes = 0;

  /** @param onEntries told of each write of a run at once, and of what it says */
  constructor(
    workflows: ReadonlyMap<string, Workflow>,
    clock: Pick<Clock, "now">,
    onEntries: (entries: readonly HistoryEntry[]) => void = () => undefined,
  ) {
    this.#workflows = workflows;
    this.#clock = clock;
    this.#onEntries = onEntries;
  }

  /** The same storage, watched. */
  watch(backend: EmbeddedBackend): EmbeddedBackend {
    backend.onChange(({ runId, before, after }) => {
      this.#writes++;
      if (!isRunId(runId)) return;
      const is = decodeRun(runId, after);
      this.#runs.set(runId, is);
      const was = before === undefined ? undefined : decodeRun(runId, before);
      const errors = this.#errors.get(runId) ?? new Map<string, string>();
      const entries = entriesOf(this.graphOf(is), was, is, this.#clock.now(), errors);
      this.#onEntries(entries);
      const all = this.#entries.get(runId) ?? [];
      all.push(...entries);
      this.#entries.set(runId, all);
    });
    return {
      ...backend,
      putPayload: async (runId, key, json) => {
        if (/^u?err#/.test(key))
          this.#errors.set(runId, (this.#errors.get(runId) ?? new Map<string, string>()).set(key, json));
        return backend.putPayload(runId, key, json);
      },
    };
  }

  of(runId: string): readonly HistoryEntry[] {
    return [...(this.#entries.get(runId) ?? [])];
  }

  /** The run as of its last committed write. */
  run(runId: string): RunState | undefined {
    return this.#runs.get(runId);
  }

  runs(): readonly RunState[] {
    return [...this.#runs.values()];
  }

  /** Committed writes so far, of all runs. */
  writes(): number {
    return this.#writes;
  }

  /** The graph that the run follows; one without steps for a workflow that nobody knows. */
  graphOf({ workflow, fingerprint }: Pick<RunState, "workflow" | "fingerprint">): Graph {
    const own = this.#workflows.get(workflow)?.graph;
    const shard = parseShardFingerprint(fingerprint);
    const graph = own === undefined || shard === undefined ? own : deriveGraph(own, shard);
    return graph ?? { schema: 1, workflow, steps: [] };
  }
}
