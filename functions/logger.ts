/** The runtime's logger as JSON lines of Powertools. Payloads never come here: the runtime logs names, ids and errors. */
import { Logger as PowertoolsLogger } from "@aws-lambda-powertools/logger";
import type { Context } from "aws-lambda";
import { loggedFields } from "../lib/runtime/logged-fields.ts";
import type { Logger } from "../lib/runtime/ports.ts";

export interface FunctionLogger extends Logger {
  /** Lines from now on carry the id of this invocation. */
  begin(context: Pick<Context, "awsRequestId">): void;
}

/** @param stack the name of the stack, as `service` of each line */
export function functionLogger(stack: string): FunctionLogger {
  const log = new PowertoolsLogger({ serviceName: stack });
  return {
    begin: ({ awsRequestId }) => log.appendKeys({ requestId: awsRequestId }),
    debug: (message, fields) => log.debug(message, unreserved(fields)),
    info: (message, fields) => log.info(message, unreserved(fields)),
    warn: (message, fields) => log.warn(message, unreserved(fields)),
    error: (message, fields) => log.error(message, unreserved(fields)),
  };
}

/** Keys that Powertools keeps for itself: it would drop the value, and say so in a line of its own. */
const reserved = new Set(["level", "message", "sampling_rate", "service", "timestamp"]);

function unreserved(fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const entries = Object.entries(loggedFields(fields));
  return Object.fromEntries(entries.map(([key, value]) => [reserved.has(key) ? `${key}_` : key, value]));
}
