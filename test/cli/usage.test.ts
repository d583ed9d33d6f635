// Hunts: wrong usage that is taken for right, ends with another exit code than 2, or is told without the way out; and
// commands without help.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { describe, expect, test, vi } from "vitest";
import { createProgram } from "../../lib/cli/program.ts";
import { leaves, say } from "./in-process.ts";
import { buildOnce, pawl, root } from "./pawl-process.ts";

/** All but what only shells call. */
const commands = leaves(createProgram(() => {})).filter(({ path }) => path[0] !== "complete");
const named = commands.map(({ path, command }) => [path.join(" "), path, command] as const);

/** As many arguments as it needs. */
function argumentsOf({ registeredArguments }: Command): string[] {
  return registeredArguments.filter(({ required }) => required).map(({ argChoices }) => argChoices?.[0] ?? "some");
}

/** Those that it cannot do without. */
function optionsOf({ options }: Command): string[] {
  return options.flatMap(({ mandatory, long }) => (mandatory ? [long ?? "", "some"] : []));
}

describe.each(named)("%s", (_name, path, command) => {
  test("an option that it does not have", async () => {
    const { code, out, err } = await say(...path, ...argumentsOf(command), ...optionsOf(command), "--nope");
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^error: unknown option '--nope'\n[^]*pawl <command> --help/);
  });

  test("an argument too many, and one too few", async () => {
    const all = command.registeredArguments.map(({ argChoices }) => argChoices?.[0] ?? "some");
    const many = await say(...path, ...all, "surplus", ...optionsOf(command));
    expect(many).toMatchObject({ code: 2, out: "" });
    expect(many.err).toContain("error: too many arguments");
    const needed = argumentsOf(command);
    if (needed.length === 0) return;
    const few = await say(...path, ...needed.slice(1), ...optionsOf(command));
    expect(few).toMatchObject({ code: 2, out: "" });
    expect(few.err).toMatch(/^error: (missing required argument|command-argument value)/);
  });

  test("help has an example that is no wrong usage itself", async () => {
    const { code, out, err } = await say(...path, "--help");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(new RegExp(`^Usage: pawl ${path.join(" ")}`));
    const examples = [...out.matchAll(/^ {2}\$ (.*)$/gm)].map(([, line = ""]) => line);
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(example).toContain(`pawl ${path.join(" ")}`);
  });
});

const wrong: readonly (readonly [args: string, message: string])[] = [
  ["dev flows.ts --port 70000", "'70000' is invalid. Allowed are 0 (any free one) to 65535."],
  ["dev flows.ts --concurrency 0", "'0' is invalid. Allowed are 1 to 10000."],
  ["start order --tag x", "'x' is invalid. Allowed is key=value."],
  ["start order --wait soon", "'soon' is invalid. Allowed is a number and a unit"],
  ["start order --input nope.json", "The input cannot be read from nope.json"],
  ["show r --auth magic", "'magic' is invalid. Allowed choices are iam, none, bearer."],
  ["show r --url localhost", 'The URL of the server is "localhost"; allowed is http:// or https://'],
  ["show r --url ftp://localhost", 'The URL of the server is "ftp://localhost"; allowed is http:// or https://'],
  ["show r --url http://localhost --stack Shop", "'--stack <name>' cannot be used with option '--url <url>'"],
  ["signal r go --data nope", "'nope' is invalid. It is not JSON"],
  ["signal r go --data 1 --payload -", "'--data <json>' cannot be used with option '--payload <file>'"],
  ["redrive r --set x", "'x' is invalid. Allowed is step=json."],
  ["fork r", "required option '--from <step>' not specified"],
  ["answer r --payload nope.json", "The payload cannot be read from nope.json"],
  ["callback wait token", "Allowed choices are succeed, fail, heartbeat."],
  ["callback fail token", "fail tells why: give it --message <text>."],
  ["callback succeed token --final", "--message, --name and --final are options of fail."],
  ["ls --status done", "'done' is invalid. Allowed are running, paused, unwinding, succeeded"],
  ["ls --status failed,done", "'failed,done' is invalid. Allowed are running"],
  ["ls --from yesterday", "'yesterday' is invalid. Allowed is ISO 8601 with its offset"],
  ["ls --from 2026-02-30", "'2026-02-30' is invalid. Allowed is ISO 8601"],
  ["ls --from 99999999999d", "'99999999999d' is invalid. Allowed is ISO 8601"],
  ["ls --tag x", "'x' is invalid. Allowed is key=value."],
  ["ls --tag a=1 --tag b=2", "'b=2' is invalid. One tag can be asked for."],
  ["ls --limit 0", "'0' is invalid. Allowed are 1 to 10000."],
  ["ls --limit 1e3", "'1e3' is invalid. Allowed are 1 to 10000."],
  ["ls --limit 3 --all", "'--all' cannot be used with option '--limit <runs>'"],
  ["stats --days 0", "'0' is invalid. Allowed are 1 to 366."],
  ["graph order --format svg", "'svg' is invalid. Allowed choices are text, mermaid, dot, json."],
  ["graph order --format dot --json", "--json and --format dot ask for two things; give one of them."],
  ["bulk redrive --yes", "bulk redrive needs to know which runs: --workflow, --status"],
  ["bulk purge --workflow order", "nobody can be asked here: look with --dry-run, then give --yes."],
  ["bulk cancel --workflow order --rate 201 --yes", "'201' is invalid. Allowed are 1 to 200."],
  ["bulk cancel --workflow order --limit 50001 --yes", "'50001' is invalid. Allowed are 1 to 50000."],
  ["bulk signal --workflow order --yes", "missing required argument 'name'"],
  ["bulk show", "missing required argument 'operationId'"],
  ["completion tcsh", "Allowed choices are zsh, bash, fish, powershell."],
];

test.each(wrong)("%s", async (line, message) => {
  const { code, out, err } = await say(...line.split(" "));
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain(message);
  // Said once, and without a stack.
  expect(err).not.toMatch(/\n +at /);
});

test.each([
  ["shw r", "Did you mean show?"],
  ["bulk redrve", "Did you mean redrive?"],
  ["ls --staus failed", "Did you mean --status?"],
  ["graph order --formt dot", "Did you mean --format?"],
])("%s: %s", async (line, suggestion) => {
  const { code, err } = await say(...line.split(" "));
  expect(code).toBe(2);
  expect(err).toContain(suggestion);
});

test("a token that is to be sent has to be there", async () => {
  vi.stubEnv("PAWL_TOKEN", "");
  const { code, err } = await say("show", "r", "--auth", "bearer");
  expect(code).toBe(2);
  expect(err).toContain("--auth bearer sends the token in PAWL_TOKEN, and that is empty.");
});

test("the page about the command line has all commands", () => {
  const page = readFileSync(join(root, "docs/cli.md"), "utf8");
  for (const { path } of commands) expect(page).toMatch(new RegExp(`\\b${path.at(-1) ?? ""}\\b`));
});

test("the process ends with the same codes", { timeout: 60_000 }, async () => {
  buildOnce();
  expect(await pawl([])).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("Usage: pawl") });
  expect(await pawl(["bulk"])).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("Usage: pawl bulk"),
  });
  expect(await pawl(["ls", "--limit", "0"])).toMatchObject({ code: 2, stdout: "" });
  expect(await pawl(["ls", "--help"])).toMatchObject({ code: 0, stderr: "" });
});
