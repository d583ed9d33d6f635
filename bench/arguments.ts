/** What the bench is asked for on the command line. */
import { parseArgs } from "node:util";

export interface Asked<Part extends string> {
  readonly json: boolean;
  /** In the order of all. */
  readonly parts: readonly Part[];
  /** Folder to draw pictures of the bill in. */
  readonly pictures?: string;
}

export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * @param all parts of the bench
 * @throws {UsageError} saying what was given, and what is allowed
 */
export function parseArguments<Part extends string>(args: readonly string[], all: readonly Part[]): Asked<Part> {
  const { json = false, only, pictures } = optionsOf(args);
  const unknown = only?.find((name) => !all.some((part) => part === name));
  if (unknown !== undefined) {
    throw new UsageError(
      `--only is ${JSON.stringify(unknown)}; allowed is one of ${all.join(", ")}, or several --only.`,
    );
  }
  const parts = all.filter((part) => only === undefined || only.includes(part));
  if (pictures !== undefined && !parts.some((part) => part === "bill")) {
    throw new UsageError("--pictures draws the bill, which --only leaves out. Add --only bill.");
  }
  return { json, parts, ...(pictures === undefined ? {} : { pictures }) };
}

function optionsOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        json: { type: "boolean" },
        only: { type: "string", multiple: true },
        pictures: { type: "string" },
      },
    }).values;
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`${said} Allowed are --json, --only <part> and --pictures <folder>.`, { cause });
  }
}
