import { type Command, Option } from "commander";
import { PlainError } from "../dev/plain-error.ts";
import { parseCount, parsePort } from "./arguments.ts";
import { withExamples } from "./server-command.ts";

interface DevFlags {
  readonly port: number;
  readonly host: string;
  readonly dataDir: string;
  readonly concurrency?: number;
  readonly demo?: string;
  readonly demoWorkflow?: string;
  readonly once?: boolean;
  readonly cost: boolean;
}

export function addDevCommand(program: Command, setExitCode: (code: number) => void): void {
  withExamples(program.command("dev"), "pawl dev workflows.ts", "pawl dev workflows.ts --demo order.json --once")
    .description("serve the workflows that a file exports, on this machine, and show what their runs do")
    .argument("<file>", "TypeScript or JavaScript module")
    .addOption(new Option("--port <port>", "of the API; 0 takes a free one").default(7070).argParser(parsePort))
    .option("--host <address>", "of the API", "127.0.0.1")
    .option("--data-dir <folder>", "where runs are kept; one server at a time may use it", ".pawl")
    .addOption(
      new Option("--concurrency <steps>", "steps that run at the same time (default: 64)").argParser(
        parseCount(1, 10_000),
      ),
    )
    .option("--demo <input.json>", "start one run with this input")
    .option("--demo-workflow <name>", "which workflow --demo starts, when the file has several")
    .option("--once", "exit when the run of --demo has ended: 0 if it succeeded, else 1")
    .option("--no-cost", "do not count what each run would cost on AWS; saves the engine some work")
    .action(async (file: string, flags: DevFlags) => {
      const { port, host, dataDir, concurrency, demo, demoWorkflow, once = false, cost } = flags;
      if (demo === undefined && (once || demoWorkflow !== undefined)) {
        const message = `${once ? "--once" : "--demo-workflow"} is about the run of --demo <input.json>: give that too.`;
        throw new PlainError(message, { exitCode: 2 });
      }
      const workflow = demoWorkflow === undefined ? {} : { workflow: demoWorkflow };
      // The other commands do without the engine, and start sooner.
      const { dev } = await import("../dev/dev.ts");
      setExitCode(
        await dev({
          file,
          port,
          host,
          dataDir,
          once,
          cost,
          ...(concurrency === undefined ? {} : { concurrency }),
          ...(demo === undefined ? {} : { demo: { inputFile: demo, ...workflow } }),
        }),
      );
    });
}
