/** Why a user's file could not be loaded: what, where, and what to do, without the stack of the loader. */
import { spawnSync } from "node:child_process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inspect } from "node:util";
import type { DefinitionError } from "../definition/errors.ts";

/** @param file the one that was asked for; the fault may be in one that it imports */
export function explainLoadFailure(error: unknown, file: string): string {
  if (!(error instanceof Error)) return `${file} threw ${inspect(error, { depth: 2 })} while it was loaded.`;
  if (isDefinitionError(error)) return `${error.message}\n${placeOf(error) ?? `in ${file}`}`;
  if (error instanceof SyntaxError) return `${file} cannot be loaded: ${explainSyntax(error, file)}`;
  const code = "code" in error ? error.code : undefined;
  const hint =
    code === "ERR_MODULE_NOT_FOUND"
      ? "\nImports of own files need the file's ending (./prices.ts); packages must be installed where the file lies."
      : "";
  const place = placeOf(error);
  const cause = error.cause === undefined ? "" : `\ncause: ${inspect(error.cause, { depth: 1 })}`;
  const what = code === "ERR_MODULE_NOT_FOUND" ? error.message : `${error.name}: ${error.message}`;
  return `${file} cannot be loaded: ${what}${place === undefined ? "" : `\n${place}`}${cause}${hint}`;
}

/** Also of another copy of Pawl. */
function isDefinitionError(error: Error): error is DefinitionError {
  return error.name === "DefinitionError" && "faults" in error;
}

/** Node puts the place before the name of the error, for most files; a plain JavaScript file has to be asked again. */
function explainSyntax(error: SyntaxError, file: string): string {
  const head = headOf(error.stack ?? "");
  if (head.startsWith("file:")) return withPaths(head);
  const { stderr } = spawnSync(process.execPath, ["--check", file], { encoding: "utf8", timeout: 10_000 });
  const checked = headOf(stderr);
  return /:\d+\n/.test(checked) ? withPaths(checked) : `SyntaxError: ${error.message}`;
}

/** Everything before the stack's frames. */
function headOf(text: string): string {
  return text.split(/\n {4}at /, 1)[0]?.trim() ?? "";
}

function withPaths(text: string): string {
  return text.replaceAll(/file:\/\/[^\s:]+/g, (url) => fileURLToPath(url));
}

/** The first line of the stack that is the user's own. */
function placeOf(error: Error): string | undefined {
  const ownFolder = new URL("../", import.meta.url).href;
  const frames = (error.stack ?? "").split("\n").filter((line) => /^ {4}at .*file:/.test(line));
  const frame = frames.find(
    (line) => !line.includes(ownFolder) && !line.includes(pathToFileURL("/node_modules/").pathname),
  );
  const place = frame === undefined ? undefined : /file:[^\s)]+/.exec(frame)?.[0];
  return place === undefined ? undefined : `at ${withPaths(place)}`;
}
