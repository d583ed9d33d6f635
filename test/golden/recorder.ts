// The embedded engine on a file, and everything that it writes on the way.
import { join } from "node:path";
import { type Engine, startEngine } from "../../lib/embedded/engine.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import type { Message } from "../../lib/engine/message.ts";
import type { Fields } from "../../lib/engine/transition.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { type LogLine, recordingLogger } from "../behaviour/harness.ts";
import type { Story } from "./story.ts";

export interface Written {
  /** By id: each record as it was after each of its writes. */
  readonly records: { readonly id: string; readonly fields: Fields }[];
  readonly payloads: { readonly key: string; readonly json: string }[];
  readonly graphs: string[];
  readonly messages: Message[];
}

export interface Recorded {
  readonly engine: Engine;
  readonly clock: VirtualClock;
  readonly written: Written;
  readonly logs: LogLine[];
}

/** @param nowMs when it begins */
export async function recordedEngine(
  { workflows }: Pick<Story, "workflows">,
  dataDir: string,
  nowMs: number,
): Promise<Recorded> {
  const clock = new VirtualClock(nowMs, 120);
  const logs: LogLine[] = [];
  const logger = recordingLogger(logs);
  const written: Written = { records: [], payloads: [], graphs: [], messages: [] };
  const backend = openSqliteBackend({ file: join(dataDir, "pawl.db"), clock, logger });
  let ids = 0;
  const next = (): string => (ids++).toString().padStart(6, "0");
  const random = { fraction: () => 0.5, id: () => `id${next()}`, secret: () => `secret${next()}` };
  const engine = await startEngine(
    {
      workflows,
      clock,
      logger,
      random,
      webhooks: [{ name: "crm", url: "https://crm.example/hook", secret: `whsec_${"A".repeat(32)}` }],
      post: async () => ({ status: 200 }),
    },
    {
      ...backend,
      async update(id, transition) {
        const result = await backend.update(id, transition);
        if (result.applied) written.records.push({ id, fields: result.fields });
        return result;
      },
      putPayload(runId, key, json) {
        written.payloads.push({ key, json });
        return backend.putPayload(runId, key, json);
      },
      putGraph(workflow, fingerprint, json) {
        written.graphs.push(json);
        return backend.putGraph(workflow, fingerprint, json);
      },
      send(messages) {
        written.messages.push(...messages.map(({ message }) => message));
        return backend.send(messages);
      },
    },
    createMemoryBlobs,
  );
  return { engine, clock, written, logs };
}
