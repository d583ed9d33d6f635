// Hunts: a README that shows other code than what is tried, options that are not there, or pages that do not exist.
import { existsSync, globSync, readFileSync } from "node:fs";
import { expect, onTestFinished, test, vi } from "vitest";
import { hello } from "../../examples/hello.ts";
import { loan } from "../../examples/loan.ts";
import { main } from "../../lib/cli/main.ts";
import { createEngine } from "../../lib/index.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

test("the workflow of the README is examples/hello.ts", () => {
  const [, shown] = /```ts\n([^]*?)```/.exec(readme) ?? [];
  expect(shown).toBe(readFileSync(new URL("../../examples/hello.ts", import.meta.url), "utf8"));
});

test("it does what the README says", async () => {
  const engine = await createEngine({ workflows: [hello] });
  onTestFinished(() => engine.stop());
  const { runId } = await engine.start(hello, { input: { name: "Ada" } });
  expect((await engine.waitForEnd(runId)).output).toBe("Hello, Ada! The answer is 42.");
});

test.each([
  ["option", ["DependencyOptions", "StepOptions"]],
  ["option of a signal", ["SignalOptions"]],
  ["option of a sleep", ["SleepOptions"]],
  ["option of a poll", ["PollOptions"]],
  ["option of a callback", ["CallbackOptions"]],
  ["option of a child", ["ChildOptionsBase", "InputOption"]],
  ["option of a map", ["MapOptionsBase", "MapOptions", "EachOptions"]],
])("its table headed %j has every one, and no other", (head, interfaces) => {
  const [, table = ""] = new RegExp(`\\n\\| ${head} \\|.*\\n((\\|.*\\n)+)`).exec(readme) ?? [];
  expect(namesOfRows(table).sort()).toEqual(interfaces.flatMap(optionsOf).sort());
});

test("what it says that all other steps take beside is what they do", () => {
  const [, told = ""] = /say when and where a step begins \(([^)]*)\)/.exec(readme) ?? [];
  expect([...told.matchAll(/`(\w+)`/g)].map(([, name]) => name).sort()).toEqual(optionsOf("DependencyOptions").sort());
});

test("the map of the README is that of examples/video.ts", () => {
  const [, shown = ""] = /From `examples\/video\.ts`:\n\n```ts\n([^]*?)```/.exec(readme) ?? [];
  expect(shown).not.toBe("");
  expect(readFileSync(new URL("../../examples/video.ts", import.meta.url), "utf8")).toContain(shown);
});

test("the signal of the README is that of examples/loan.ts, and its answer one that it takes", () => {
  const [, shown = ""] = /From `examples\/loan\.ts`:\n\n```ts\n([^]*?)```/.exec(readme) ?? [];
  expect(shown).not.toBe("");
  expect(readFileSync(new URL("../../examples/loan.ts", import.meta.url), "utf8")).toContain(shown);
  const code = loan.code.get("approval");
  const answers = [...readme.matchAll(/pawl signal loan-1 approval --data '(.*)'/g)].map(([, json]) => json ?? "");
  expect(answers).toHaveLength(2);
  for (const json of answers) {
    expect(code?.kind === "signal" && code.payload?.safeParse(JSON.parse(json)).success).toBe(true);
  }
});

test("the step of the README that is undone is that of examples/order.ts", () => {
  const [, shown = ""] = /From the step `charge` in `examples\/order\.ts`:\n\n```ts\n([^]*?)```/.exec(readme) ?? [];
  expect(shown).toContain("compensate");
  expect(readFileSync(new URL("../../examples/order.ts", import.meta.url), "utf8")).toContain(shown);
});

test("what it shows of examples/sync.ts is there", () => {
  const [, told = ""] = /From `examples\/sync\.ts`([^]*?)\n#/.exec(readme) ?? [];
  const shown = [...told.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code ?? "");
  expect(shown).toHaveLength(2);
  const written = readFileSync(new URL("../../examples/sync.ts", import.meta.url), "utf8");
  for (const code of shown) expect(written).toContain(code);
});

test("the callback of the README is that of examples/onboarding.ts", () => {
  const [, shown = ""] = /From `examples\/onboarding\.ts`:\n\n```ts\n([^]*?)```/.exec(readme) ?? [];
  expect(shown).not.toBe("");
  expect(readFileSync(new URL("../../examples/onboarding.ts", import.meta.url), "utf8")).toContain(shown);
});

test("the commands that it lists are those that there are", async () => {
  const [, told = ""] = /`npx pawl --help`: ([^.]*)\. All/.exec(readme) ?? [];
  const listed = [...told.matchAll(/`(\w+)`/g)].map(([, name]) => name ?? "");
  const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  await main(["--help"]);
  const help = written.mock.calls.map(([text]) => String(text)).join("");
  const [, list = ""] = help.split("Commands:\n");
  const commands = [...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(commands.filter((name) => name !== "help").sort());
});

function namesOfRows(table: string): (string | undefined)[] {
  return [...table.matchAll(/^\| (`.*?`(?:, `\w+`)*) \|/gm)].flatMap(([, cell]) =>
    [...(cell ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name),
  );
}

/** Those that the interface names itself. */
function optionsOf(name: string): (string | undefined)[] {
  const files = ["step", "child", "map"].map((file) => new URL(`../../lib/definition/${file}.ts`, import.meta.url));
  const source = files.map((file) => readFileSync(file, "utf8")).join("");
  const [, body = ""] = new RegExp(`\\n(?:export )?interface ${name}<([^]*?)\\n}\\n`).exec(source) ?? [];
  return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, option]) => option);
}

test("links lead to files that are there", () => {
  for (const page of globSync("{*.md,docs/*.md}", { cwd: new URL("../..", import.meta.url) })) {
    const url = new URL(`../../${page}`, import.meta.url);
    for (const [, target] of readFileSync(url, "utf8").matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      expect(existsSync(new URL(target!, url)), `${page}: ${target}`).toBe(true);
    }
  }
});
