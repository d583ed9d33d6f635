/** Shows what runs do: live on a terminal, as plain lines everywhere else. */

import { describeUpdate } from "./describe-update.ts";
import { createLiveDisplay } from "./live-display.ts";
import type { NamedUpdate } from "./run-feed.ts";
import type { LogEntry } from "./server-log.ts";
import { formatLogEntry, formatTime, oneLine } from "./text.ts";

export interface Display {
  /** Lines about the server itself. */
  print(text: string): void;
  log(entry: LogEntry): void;
  update(update: NamedUpdate): void;
  /** Leaves what is shown as it is. */
  close(): void;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export function createDisplay(out: NodeJS.WriteStream, env: Environment): Display {
  const isSet = (name: string): boolean => (env[name] ?? "") !== "";
  const isPlain = !out.isTTY || isSet("NO_COLOR") || isSet("CI") || env.TERM === "dumb";
  return isPlain ? createPlainDisplay(out) : createLiveDisplay(out);
}

/** One line per change of a step or a run, without any control characters. */
export function createPlainDisplay(out: Pick<NodeJS.WriteStream, "write">): Display {
  const line = (workflow: unknown, runId: unknown, step: unknown, text: string): void => {
    const nowMs = Date.now();
    const where = [workflow, runId, step].filter((part) => typeof part === "string").join(" ");
    out.write(`${formatTime(nowMs, nowMs)} ${where}${where === "" ? "" : ": "}${oneLine(text)}\n`);
  };
  return {
    print(text) {
      out.write(`${text}\n`);
    },
    log(entry) {
      const { workflow, runId, step } = entry.fields;
      line(workflow, runId, step, `${entry.level}: ${formatLogEntry(entry)}`);
    },
    update(update) {
      const { workflow, runId } = update.after;
      for (const { step, text } of describeUpdate(update, Date.now())) line(workflow, runId, step, text);
    },
    close() {
      // Nothing is held back.
    },
  };
}
