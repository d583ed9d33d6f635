/**
 * Completion for shells. `pawl completion bash` prints a script, which calls `pawl complete -- <words>` at each Tab.
 * Commands, options and choices are known here; names of workflows, ids of runs and fingerprints are asked from the server
 * that the words name. Without one, or without an answer in time, there are none, and no word about it.
 */
import process from "node:process";
import type { RootCommand } from "@bomb.sh/tab";
import tab from "@bomb.sh/tab/commander";
import type { Argument, Command, Option } from "commander";
import { oneLine } from "../dev/text.ts";
import { runStatuses } from "../engine/run-state.ts";
import { withinMs } from "../runtime/attempt.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { systemClock } from "../runtime/system.ts";
import { aPage, theFailures, theWorkflows } from "./answers.ts";
import { createApiClient } from "./api-client.ts";
import { type ServerAddress, serverOf } from "./server-address.ts";
import { withExamples } from "./server-command.ts";

interface Suggestion {
  readonly value: string;
  readonly description: string;
}

type Suggestions = Readonly<Partial<Record<string, readonly Suggestion[]>>>;

/** Whose runs bulk operations are. */
const bulkWorkflow = "pawl-bulk";

/** What a Tab waits for the server at most. */
const deadlineMs = 1_000;

/** Placeholders of arguments and options that take the name of a file or folder: the shell itself knows these. */
const files = new Set(["file", "input.json", "folder"]);

export function addCompletion(program: Command): void {
  let suggestions = known;
  const root = tab(program, { completionCommandName: "completion" });
  giveValues(program, root, (placeholder) => suggestions[placeholder] ?? []);
  const script = commandNamed(program, "completion");
  if (script !== undefined) {
    withExamples(
      script,
      "source <(pawl completion bash)",
      "pawl completion fish > ~/.config/fish/completions/pawl.fish",
    );
    script.description("print a script that makes a shell complete pawl's commands, workflows and runs");
  }
  commandNamed(program, "complete")?.action(async (words: string[]) => {
    if (takesFile(program, words)) {
      // Nothing to propose, and the shell may look for files.
      process.stdout.write(":0\n");
      return;
    }
    if (mayTakeValue(words)) suggestions = { ...known, ...(await suggestionsFor(words)) };
    root.parse(words);
  });
}

/** Lets arguments and options propose what the server has of their kind, which their placeholder tells: `<runId>`. */
function giveValues(
  program: Command,
  root: RootCommand,
  valuesOf: (placeholder: string) => readonly Suggestion[],
): void {
  for (const [path, command] of commandsOf(program)) {
    const proposed = root.commands.get(path);
    for (const argument of command.registeredArguments) {
      const own = proposed?.arguments.get(argument.name());
      if (own === undefined || !dynamic.has(argument.name())) continue;
      own.handler = (complete) => valuesOf(argument.name()).forEach((one) => complete(one.value, one.description));
    }
    for (const option of command.options) {
      const own = proposed?.options.get(option.long?.slice(2) ?? "");
      const placeholder = placeholderOf(option);
      if (own === undefined || !dynamic.has(placeholder)) continue;
      own.handler = (complete) => valuesOf(placeholder).forEach((one) => complete(one.value, one.description));
    }
  }
}

const dynamic = new Set(["workflow", "runId", "fingerprint", "operationId", "status"]);

const known: Suggestions = { status: runStatuses.map((value) => ({ value, description: "" })) };

async function suggestionsFor(words: readonly string[]): Promise<Suggestions> {
  return (await withinMs(systemClock(), deadlineMs, askServer(words))) ?? {};
}

async function askServer(words: readonly string[]): Promise<Suggestions> {
  try {
    const api = createApiClient(await serverOf(addressIn(words)));
    const [workflows, runs, operations, failures] = await settleAll([
      api.get("/workflows", theWorkflows),
      api.get("/runs?limit=50", aPage),
      api.get(`/runs?limit=50&workflow=${bulkWorkflow}`, aPage),
      api.get("/failures", theFailures),
    ]);
    const ofRun = ({ runId, workflow, status }: { runId: string; workflow: string; status: string }): Suggestion => ({
      value: runId,
      description: oneLine(`${workflow}, ${status.replace("_", " ")}`),
    });
    return {
      workflow: workflows.workflows.map(({ name }) => ({ value: name, description: "" })),
      runId: runs.runs.map(ofRun),
      operationId: operations.runs.map(ofRun),
      fingerprint: failures.failures.map(({ fingerprint, workflow, name, count }) => ({
        value: fingerprint,
        // The name of an error may be anything.
        description: oneLine(`${workflow}, ${name}, ${count} ${count === 1 ? "run" : "runs"}`),
      })),
    };
  } catch {
    // Who presses Tab has not asked for anything yet.
    return {};
  }
}

/** Names of commands and options need no server. */
function mayTakeValue(words: readonly string[]): boolean {
  const last = words.at(-1) ?? "";
  return words.length > 1 && (!last.startsWith("-") || last.includes("="));
}

function takesFile(program: Command, words: readonly string[]): boolean {
  const before = words.slice(0, -1);
  const { command, given } = commandIn(program, before);
  const option = optionNamed(command, before.at(-1) ?? "");
  if (option !== undefined && (option.required || option.optional)) return files.has(placeholderOf(option));
  if (words.at(-1)?.startsWith("-") === true) return false;
  const argument: Argument | undefined = command.registeredArguments[given];
  return argument !== undefined && files.has(argument.name());
}

/** The command that the words name, and how many arguments it has been given. */
function commandIn(program: Command, words: readonly string[]): { readonly command: Command; readonly given: number } {
  let command = program;
  let given = 0;
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const option = optionNamed(command, word);
    // Its value is no argument.
    if (option?.required === true && !word.includes("=")) index++;
    if (word.startsWith("-")) continue;
    const inner = given === 0 ? commandNamed(command, word) : undefined;
    if (inner === undefined) given++;
    else command = inner;
  }
  return { command, given };
}

function addressIn(words: readonly string[]): ServerAddress {
  const valueOf = (name: string): string | undefined => {
    const joined = words.findLast((word) => word.startsWith(`--${name}=`));
    if (joined !== undefined) return joined.slice(`--${name}=`.length);
    const at = words.lastIndexOf(`--${name}`);
    return at === -1 ? undefined : words[at + 1];
  };
  const [url, stack, auth] = [valueOf("url"), valueOf("stack"), valueOf("auth") ?? process.env.PAWL_AUTH];
  return {
    ...(url === undefined ? {} : { url }),
    ...(stack === undefined ? {} : { stack }),
    ...(auth === "iam" || auth === "none" || auth === "bearer" ? { auth } : {}),
  };
}

/** With their paths, such as `bulk redrive`. */
function commandsOf(command: Command, path: readonly string[] = []): (readonly [string, Command])[] {
  return command.commands.flatMap((one) => {
    const inner = [...path, one.name()];
    return [[inner.join(" "), one] as const, ...commandsOf(one, inner)];
  });
}

function commandNamed(command: Command, name: string): Command | undefined {
  return command.commands.find((one) => one.name() === name);
}

function optionNamed(command: Command, word: string): Option | undefined {
  return command.options.find(({ long }) => long === word.split("=", 1)[0]);
}

/** `workflow` of `--workflow <workflow>`; empty when it takes no value. */
function placeholderOf({ flags }: Option): string {
  return /[<[]([^>\]]+)/.exec(flags)?.[1] ?? "";
}
