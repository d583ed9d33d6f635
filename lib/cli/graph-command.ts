/** `pawl graph`: the steps of a workflow, and what they wait for. */
import { type Command, Option } from "commander";
import { PlainError } from "../dev/plain-error.ts";
import { getWorkflow } from "./api-client.ts";
import { graphDot, graphMermaid, graphOf, graphTree } from "./graph-text.ts";
import { connect, print, type ServerFlags, serverCommand } from "./server-command.ts";

const formats = ["text", "mermaid", "dot", "json"] as const;

interface GraphFlags extends ServerFlags {
  readonly format?: (typeof formats)[number];
}

export function addGraphCommand(program: Command): void {
  serverCommand(program, "graph", "pawl graph order", "pawl graph order --format dot | dot -Tsvg > order.svg")
    .description("draw the steps of a workflow, and what they wait for")
    .argument("<workflow>")
    .addOption(new Option("--format <format>", "how (default: text)").choices(formats))
    .action(async (name: string, { format, ...flags }: GraphFlags) => {
      if (flags.json === true && format !== undefined && format !== "json") {
        throw new PlainError(`--json and --format ${format} ask for two things; give one of them.`, { exitCode: 2 });
      }
      const workflow = await getWorkflow(await connect(flags), name);
      const draw = { text: graphTree, mermaid: graphMermaid, dot: graphDot, json: graphTree }[format ?? "text"];
      print({ json: flags.json === true || format === "json" }, graphOf(workflow), draw(workflow));
    });
}
