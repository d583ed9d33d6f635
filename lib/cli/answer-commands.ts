/** Commands of those whom a run waits for: people who are asked, and holders of task tokens. */
import { Argument, type Command, Option } from "commander";
import { pathSegment } from "../client/path-segment.ts";
import { PlainError } from "../dev/plain-error.ts";
import type { RunView } from "../runtime/run-view.ts";
import { aCallback, aRun } from "./answers.ts";
import { getRun, runPath } from "./api-client.ts";
import { parseData, readJson } from "./arguments.ts";
import { questionText } from "./run-text.ts";
import { connect, print, type ServerFlags, serverCommand } from "./server-command.ts";

interface PayloadFlags extends ServerFlags {
  readonly payload?: string;
  readonly data?: unknown;
}

interface CallbackFlags extends PayloadFlags {
  readonly message?: string;
  readonly name?: string;
  readonly final?: boolean;
}

const callbackActions = ["succeed", "fail", "heartbeat"] as const;
type CallbackAction = (typeof callbackActions)[number];

export function addAnswerCommands(program: Command): void {
  withPayload(serverCommand(program, "answer", "pawl answer order-1042 --data true"))
    .description("answer what a step of a run asks, once")
    .argument("<runId>")
    .argument("[interruptId]", "of the question; needed when the run asks several")
    .action(async (runId: string, interruptId: string | undefined, flags: PayloadFlags) => {
      await answer(runId, interruptId, flags);
    });
  withPayload(
    serverCommand(
      program,
      "callback",
      "pawl callback succeed $TOKEN --data '\"paid\"'",
      "pawl callback fail $TOKEN --message 'card declined' --final",
    ),
  )
    .description("answer a callback by its task token, once, or tell that whoever has it is alive")
    .addArgument(new Argument("<action>").choices(callbackActions))
    .argument("<token>", "that the step handed out")
    .option("--message <text>", "why it failed; needed by fail")
    .option("--name <name>", "of the error, for fail (default: CallbackFailed)")
    .option("--final", "for fail: no further attempt is made")
    .action(async (action: CallbackAction, token: string, flags: CallbackFlags) => {
      await answerCallback(action, token, flags);
    });
}

function withPayload(command: Command): Command {
  return command
    .option("--payload <file>", "JSON file with the answer, or - for standard input")
    .addOption(new Option("--data <json>", "the answer itself").argParser(parseData).conflicts("payload"));
}

async function answer(runId: string, interruptId: string | undefined, flags: PayloadFlags): Promise<void> {
  const api = await connect(flags);
  const body = flags.payload === undefined ? flags.data : readJson(flags.payload, "payload");
  const id = interruptId ?? onlyQuestion(await getRun(api, runId));
  const path = `${runPath(runId)}/interrupts/${pathSegment(id)}`;
  const { body: run } = await api.post(path, aRun, body);
  print(flags, run, `Run ${run.runId} has the answer, and is ${run.status.replace("_", " ")}.`);
}

/** @throws {PlainError} when the run asks nothing, or several things */
function onlyQuestion(run: RunView): string {
  const open = Object.entries(run.steps).flatMap(([stepId, { interrupt }]) =>
    interrupt === undefined
      ? []
      : [{ id: interrupt.id, line: `  ${interrupt.id}  ${questionText(stepId, interrupt)}` }],
  );
  const [first, ...others] = open;
  if (first === undefined) throw new PlainError(`Run ${run.runId} asks nothing now; it is ${run.status}.`);
  if (others.length === 0) return first.id;
  const list = open.map(({ line }) => line).join("\n");
  throw new PlainError(`Run ${run.runId} asks ${open.length} things; say which one you answer:\n${list}`);
}

async function answerCallback(action: CallbackAction, token: string, flags: CallbackFlags): Promise<void> {
  const body = bodyOf(action, flags);
  const api = await connect(flags);
  const { body: answered } = await api.post(`/callbacks/${pathSegment(token)}/${action}`, aCallback, body);
  const { runId, status } = answered;
  const what = { succeed: "is answered", fail: "has failed", heartbeat: "waits on" }[action];
  print(flags, answered, `The callback ${what}; run ${runId} is ${status.replace("_", " ")}.`);
}

/** @throws {PlainError} for options of another action */
function bodyOf(action: CallbackAction, flags: CallbackFlags): unknown {
  const { message, name, final, payload, data } = flags;
  const ofFail = message !== undefined || name !== undefined || final !== undefined;
  const ofSucceed = payload !== undefined || data !== undefined;
  if (ofFail && action !== "fail") throw wrongUsage("--message, --name and --final are options of fail.");
  if (ofSucceed && action !== "succeed") throw wrongUsage("--data and --payload are options of succeed.");
  switch (action) {
    case "succeed":
      return payload === undefined ? data : readJson(payload, "payload");
    case "fail":
      if (message === undefined) throw wrongUsage("fail tells why: give it --message <text>.");
      return {
        message,
        ...(name === undefined ? {} : { name }),
        ...(final === true ? { retryable: false } : {}),
      };
    case "heartbeat":
      return undefined;
  }
}

function wrongUsage(message: string): PlainError {
  return new PlainError(message, { exitCode: 2 });
}
