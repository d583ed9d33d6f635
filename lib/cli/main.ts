/**
 * The command line.
 *
 * Exit codes: 0 done; 1 the run failed, or the operation was refused or could not be done; 2 wrong usage.
 */
import process from "node:process";
import { CommanderError } from "commander";
import { PlainError } from "../dev/plain-error.ts";
import { printable } from "../dev/text.ts";
import { createProgram } from "./program.ts";

/** @param args without the paths of Node and of the script. Returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  // `pawl show … | head`: nobody reads on. A server goes on with its runs.
  process.stdout.on("error", unlessClosed);
  let exitCode = 0;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    await allPrinted();
    return exitCode;
  } catch (error) {
    // Commander has said what is wrong; help and version are no errors.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof PlainError)) throw error;
    // It may repeat what a server has said.
    process.stderr.write(`pawl: ${printable(error.message)}\n`);
    return error.exitCode;
  } finally {
    process.stdout.removeListener("error", unlessClosed);
  }
}

function unlessClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}

/** A pipe takes what is printed bit by bit, and the process is about to exit. */
function allPrinted(): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write("", () => {
      resolve();
    });
  });
}
