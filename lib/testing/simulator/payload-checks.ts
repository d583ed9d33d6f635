// A run refers to nothing that is not stored, wherever its content is.
import type { RunState } from "../../engine/run-state.ts";
import type { Evidence } from "./evidence.ts";

export function checkPayloads(seen: Evidence, is: RunState): void {
  for (const payload of [is.input, ...is.outputs, ...is.signals.map((signal) => signal?.payload)]) {
    if (payload === undefined || !("key" in payload)) continue;
    const stored = seen.payload(is.runId, payload.key);
    if (stored === undefined) seen.fail(`R6: the run refers to ${payload.key}, which is not stored`);
    const [, blob] = /^@blob:\d+:(.*)$/.exec(stored) ?? [];
    if (blob !== undefined && !seen.hasBlob(`${is.runId}/${blob}`)) {
      seen.fail(`R6: the run refers to ${payload.key}, whose blob is not stored`);
    }
  }
}
