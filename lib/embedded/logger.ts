/** Structured logs of the embedded engine: one JSON object a line, errors with name, message and stack. */
import { type DestinationStream, destination, type Level, pino } from "pino";
import { loggedFields } from "../runtime/logged-fields.ts";
import type { Logger } from "../runtime/ports.ts";

/** @param to a file descriptor's stream, a file, or any other writable */
export function jsonLogger(to: DestinationStream, level: Level = "info"): Logger {
  const log = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // pino's own would shape errors by that name once more.
      serializers: { err: (value: unknown) => value },
    },
    to,
  );
  const at =
    (name: "debug" | "info" | "warn" | "error") =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      if (log.isLevelEnabled(name)) log[name](loggedFields(fields), message);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

export function stderrLogger(level: Level = "warn"): Logger {
  return jsonLogger(destination({ fd: 2, sync: true }), level);
}
