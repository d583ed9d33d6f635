/** All commands of the command line. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addAnswerCommands } from "./answer-commands.ts";
import { addBulkCommands } from "./bulk-commands.ts";
import { addCompletion } from "./completion.ts";
import { addCostCommand } from "./cost-command.ts";
import { addDevCommand } from "./dev-command.ts";
import { addFindCommands } from "./find-commands.ts";
import { addGraphCommand } from "./graph-command.ts";
import { addRunCommands } from "./run-commands.ts";
import { addTailCommand } from "./tail-command.ts";

/** @param setExitCode of the process, when its command is done */
export function createProgram(setExitCode: (code: number) => void): Command {
  const program = new Command("pawl")
    .description("Typed, durable workflows. Serve yours with `pawl dev`, then start, watch and steer their runs.")
    .version(ownVersion(), "-V, --version")
    .showHelpAfterError("(pawl --help lists the commands, pawl <command> --help the options)")
    .addHelpText("after", "\nExit codes: 0 done, 1 the run failed or the operation was refused, 2 wrong usage.")
    .exitOverride();
  addDevCommand(program, setExitCode);
  addCostCommand(program, setExitCode);
  addRunCommands(program, setExitCode);
  addAnswerCommands(program);
  addFindCommands(program);
  addTailCommand(program, setExitCode);
  addGraphCommand(program);
  addBulkCommands(program, setExitCode);
  // Last: it looks at all the others.
  addCompletion(program);
  return program;
}

/** From package.json, which is one folder further up when this runs from dist/. */
function ownVersion(): string {
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as Record<
        string,
        unknown
      >;
      if (name === "pawl" && typeof version === "string") return version;
    } catch {
      // Not there: the next one.
    }
  }
  return "unknown";
}
