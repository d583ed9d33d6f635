/** What the terminal is, if there is one: its width, its colours, and whether somebody sits at it. */
import process from "node:process";
import { createInterface } from "node:readline/promises";
import { type Line, renderLine } from "../dev/run-frame.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether pictures can be redrawn in place; without that, what changes is told line by line. */
export function canRedraw(out: NodeJS.WriteStream, env: Environment = process.env): boolean {
  return out.isTTY && env.TERM !== "dumb";
}

/** https://no-color.org: any value but none. */
function hasColours(out: NodeJS.WriteStream, env: Environment = process.env): boolean {
  return out.isTTY && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
}

/** Lines cut to the width of the terminal; whole, and without colours, for files and pipes. */
export function linesFor(out: NodeJS.WriteStream, lines: readonly Line[]): string {
  const columns = out.isTTY ? Math.max(20, out.columns) : Infinity;
  const coloured = hasColours(out);
  return lines
    .map((line) => renderLine(coloured ? line : line.map(([text]) => [text] as const), columns).trimEnd())
    .join("\n");
}

/** Somebody can be asked, and sees the question. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** On stderr: what is printed may go elsewhere. Anything but a yes is a no, also Ctrl-D and Ctrl-C. */
export async function confirm(question: string): Promise<boolean> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const cut = new AbortController();
  prompt.once("close", () => cut.abort());
  try {
    return /^y(es)?$/i.test((await prompt.question(`${question} [y/N] `, { signal: cut.signal })).trim());
  } catch (error) {
    if (!cut.signal.aborted) throw error;
    process.stderr.write("\n");
    return false;
  } finally {
    prompt.close();
  }
}
