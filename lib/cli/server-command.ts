/** What commands that ask a server have in common: where it is, and how its answers are printed. */
import process from "node:process";
import { type Command, Option } from "commander";
import { printable, printableJson } from "../dev/text.ts";
import { type ApiClient, createApiClient } from "./api-client.ts";
import { quote } from "./arguments.ts";
import { authKinds, type ServerAddress, serverOf } from "./server-address.ts";

export interface ServerFlags extends ServerAddress {
  readonly json?: boolean;
}

/** @param examples command lines for its help */
export function serverCommand(program: Command, name: string, ...examples: readonly string[]): Command {
  const command = program
    .command(name)
    .option("--url <url>", "of the server (default: PAWL_URL, or http://127.0.0.1:7070)")
    .addOption(new Option("--stack <name>", "a deployed stack instead: NAME, or NAME/CONSTRUCT").conflicts("url"))
    .addOption(
      new Option("--auth <how>", "AWS signature, nothing, or PAWL_TOKEN (default: iam for what is on AWS, else none)")
        .choices(authKinds)
        .env("PAWL_AUTH"),
    )
    .option("--json", "print JSON");
  return withExamples(command, ...examples);
}

export function withExamples(command: Command, ...examples: readonly string[]): Command {
  const title = examples.length === 1 ? "Example" : "Examples";
  return command.addHelpText("after", `\n${title}:\n${examples.map((line) => `  $ ${line}`).join("\n")}`);
}

/** @throws {PlainError} when the address, the stack or the credentials are wrong, or not there */
export async function connect(flags: ServerAddress): Promise<ApiClient> {
  return createApiClient(await serverOf(flags));
}

/** The options again, for the command line that goes on from here. */
export function serverArguments({ url, stack, auth }: ServerFlags): string[] {
  const given = { url, stack, auth: auth === process.env.PAWL_AUTH ? undefined : auth };
  return Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, quote(value)]));
}

export function print({ json = false }: ServerFlags, value: unknown, text: string): void {
  process.stdout.write(json ? `${printableJson(value, 2)}\n` : `${printable(text)}\n`);
}
