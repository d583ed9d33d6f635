// Hunts: a test that leaves a timer, a handle or running code behind and passes all the same, and one that fails without.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

const root = fileURLToPath(new URL("../../", import.meta.url));
let report: Report;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-leftovers-"));
  const output = join(folder, "report.json");
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const config = ["--config", "test/tooling/leaking/vitest.config.ts", "--reporter=json", `--outputFile=${output}`];
  const run = promisify(execFile)(process.execPath, [vitest, "run", ...config], { cwd: root });
  await expect(run).rejects.toMatchObject({ code: 1 });
  report = JSON.parse(await readFile(output, "utf8")) as Report;
  await rm(folder, { recursive: true });
});

function file(name: string): Report["testResults"][number] {
  return report.testResults.find((one) => one.name.endsWith(`/${name}`))!;
}

function outcome(title: string): { readonly status: string; readonly message: string } {
  const { status, failureMessages } = file("leaking.fixture.ts").assertionResults.find((one) => one.title === title)!;
  return { status, message: failureMessages.join("\n") };
}

const place = /test\/tooling\/leaking\/leaking\.fixture\.ts:\d+:\d+/.source;

describe("a test fails that", () => {
  test.each([
    ["leaves an interval", `a timer, begun at .*${place}`],
    ["leaves a timer that keeps no process alive", `a timer, begun at .*${place}`],
    ["leaves a sleep", `a timer, begun at .*${place}`],
    ["leaves a server", `a server, begun at .*${place}`],
    ["leaves a request", "a connection, begun by Node or a package"],
    ["leaves a child process", `a child process, begun at .*${place}`],
    ["leaves a file being read", `a request to the file system, begun at .*${place}`],
    ["leaves a watched file", `a watched file, begun at .*${place}`],
    [
      "leaves an async function that goes on",
      `code that went on after the end of "leaves an async function that goes on", at .*threeTurns.*${place}`,
    ],
    [
      "is told what an earlier test goes on with",
      `a timer that went on after the end of "passes: nobody can know yet that what it left will go on", at .*${place}`,
    ],
  ])("%s, and says what and where", (title, message) => {
    expect(outcome(title)).toEqual({
      status: "failed",
      message: expect.stringMatching(new RegExp(`Work was left behind.*\n- (.*\n- )*${message}`)),
    });
  });

  test("fails by itself, with its own reason alone", () => {
    const { status, message } = outcome("fails for a reason of its own");
    expect(status).toBe("failed");
    expect(message).toContain("of its own");
    expect(message).not.toContain("left behind");
  });
});

test("no other test fails", () => {
  const passing = file("leaking.fixture.ts").assertionResults.filter(({ title }) => title.startsWith("passes"));
  expect(passing.map(({ title, status, failureMessages }) => ({ title, status, failureMessages }))).toEqual(
    passing.map(({ title }) => ({ title, status: "passed", failureMessages: [] })),
  );
  expect(passing).toHaveLength(5);
});

test("a file fails that leaves something which belongs to none of its tests", () => {
  const { message } = file("leaking-file.fixture.ts");
  expect(message).toMatch(/Work was left behind.*\n- a server, begun at .*leaking-file\.fixture\.ts:11/);
  expect(message.match(/a server, begun/g)).toHaveLength(1);
});
