// Hunts: an undoing that a killed server forgets or begins again, and commands that tell something else than what was undone.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { buildOnce, type Ended, folderWith, type PawlProcess, pawl, serve } from "./pawl-process.ts";

const patient = { timeout: 30_000 };

beforeAll(buildOnce, 60_000);

/** What `second` did is undone when the file is there that the input names. */
const books = `
import { existsSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { FatalError, workflow } from "pawl";
import * as z from "zod";

export const holds = workflow("holds", { input: z.object({ gate: z.string() }) }, (w) => {
  const first = w.step("first", {
    run: () => process.pid,
    compensate: ({ output, log }) => log.info("given back", { held: output !== undefined }),
  });
  const second = w.step("second", {
    after: [first],
    run: () => 2,
    compensate: async ({ input, signal }) => {
      while (!existsSync(input.gate)) await setTimeout(20, undefined, { signal });
    },
  });
  w.signal("go", { after: [second] });
});

export const fragile = workflow("fragile", { input: z.object({ gate: z.string() }) }, (w) => {
  const first = w.step("first", { run: () => 1, compensate: () => undefined });
  const second = w.step("second", {
    after: [first],
    run: () => 2,
    compensate: ({ input }) => {
      if (!existsSync(input.gate)) throw new FatalError("the gate is closed");
    },
  });
  w.step("third", { after: [second], run: () => { throw new FatalError("no third"); } });
});
`;

interface Serving {
  readonly gate: string;
  readonly server: PawlProcess;
  readonly url: string;
  readonly run: (...args: string[]) => Promise<Ended>;
}

async function serving(folder: string): Promise<Serving> {
  const gate = join(folder, "gate");
  writeFileSync(join(folder, "input.json"), JSON.stringify({ gate }));
  const { server, url } = await serve(["books.ts"], { cwd: folder });
  return { gate, server, url, run: (...args) => pawl(args, { cwd: folder, env: { PAWL_URL: url } }) };
}

test("kill -9 while a run is being undone: the next start undoes the rest, and nothing twice", patient, async () => {
  const folder = folderWith({ "books.ts": books });
  const first = await serving(folder);
  await first.run("start", "holds", "--input", "input.json", "--run-id", "r");
  await first.server.output(/r go: waiting/);
  expect(await first.run("cancel", "r")).toMatchObject({ code: 0, stdout: "Run r is unwinding to cancelled.\n" });
  await first.server.output(/holds r second: undoing, attempt 1/);
  expect((await first.run("show", "r")).stdout).toMatch(
    /status +unwinding to cancelled\n[^]*\n +second +succeeded +1 +0\.\ds +undoing, attempt 1\n/,
  );
  first.server.kill("SIGKILL");
  await first.server.ended;

  const { server, run, gate } = await serving(folder);
  await server.output(/holds r: run goes on from an earlier start/);
  await server.output(/holds r second: undoing, attempt 2/);
  writeFileSync(gate, "");
  await server.output(/holds r: run cancelled after .*, everything undone\n/);
  expect(server.stdout).toMatch(/holds r first: info: undoing: given back {2}held=true\n/);
  expect(server.stdout.match(/first: undoing, attempt/g)).toHaveLength(1);
  expect(server.stdout).not.toContain("pawl redrive");
  const { stdout } = await run("show", "r");
  expect(stdout).toMatch(/status +cancelled after \d.*, everything undone\n/);
  expect(stdout).toMatch(
    /\n +first +succeeded +1 +0\.\ds +undone in 0\.\ds\n +second +succeeded +1 +0\.\ds +undone in /,
  );
});

test(
  "what cannot be undone: told with its reason and the command that tries again, which then undoes it",
  patient,
  async () => {
    const { server, run, gate, url } = await serving(folderWith({ "books.ts": books }));
    const failed = await run("start", "fragile", "--input", "input.json", "--run-id", "f", "--wait");
    expect(failed.code).toBe(1);
    expect(failed.stdout).toMatch(/status +failed after \d.*, not everything undone\n/);
    expect(failed.stdout).toMatch(/error +FatalError: no third \(step third\)/);
    expect(failed.stdout).toMatch(/\n +second .* not undone, attempt 1, FatalError: the gate is closed\n/);
    expect(failed.stdout).toMatch(/\n +first +succeeded +1 +0\.\ds\n/);
    await server.output(new RegExp(`\n {2}undo the rest with: pawl redrive f --url ${url}\n`));

    writeFileSync(gate, "");
    const undone = await run("redrive", "f", "--wait");
    expect(undone.code).toBe(1);
    expect(undone.stdout).toMatch(/status +failed after \d.*, everything undone\n/);
    expect(server.stdout).toMatch(/fragile f: run redriven, to undo what could not be undone\n/);
    expect(server.stdout.match(/third: running/g)).toHaveLength(1);

    const anew = await run("redrive", "f", "--wait");
    expect(anew.stdout).toMatch(/status +failed after \d.*, everything undone\n/);
    expect(server.stdout).toMatch(/fragile f: run redriven\n/);
    expect(server.stdout.match(/third: running/g)).toHaveLength(2);
  },
);

test("a run that is terminated is not undone; workflows tell what can be", patient, async () => {
  const { server, run } = await serving(folderWith({ "books.ts": books }));
  await run("start", "holds", "--input", "input.json", "--run-id", "r");
  await server.output(/r go: waiting/);
  expect(await run("terminate", "r")).toMatchObject({ code: 0, stdout: "Run r is cancelled.\n" });
  await server.output(/holds r: run cancelled after .*, not everything undone\n/);
  expect(server.stdout).not.toMatch(/undoing|undo the rest/);
  expect((await run("workflows")).stdout).toMatch(
    /\n {2}second {2}after first; can be undone\n {2}go {6}signal; after second\n/,
  );
});
