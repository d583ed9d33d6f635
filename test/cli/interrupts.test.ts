// Hunts: a question that a killed server forgets, and a command that answers another one or does not say what is asked.
import { beforeAll, expect, test } from "vitest";
import { buildOnce, folderWith, pawl, serve } from "./pawl-process.ts";

const patient = { timeout: 30_000 };

beforeAll(buildOnce, 60_000);

const asks = `
import { workflow } from "pawl";
import * as z from "zod";

export const asks = workflow("asks", {}, (w) => {
  const review = w.step("review", {
    run: async ({ interrupt }) => (await interrupt({ question: "Is it good?" }, z.object({ ok: z.boolean() }))).ok,
  });
  const count = w.step("count", { run: ({ interrupt }) => interrupt("How many?", z.number().int()) });
  return w.step("end", { after: [review, count], run: ({ outputs }) => outputs });
});
`;

test("a question outlives kill -9, and is answered as the next server tells", patient, async () => {
  const folder = folderWith({ "asks.ts": asks });
  const first = await serve(["asks.ts"], { cwd: folder });
  await pawl(["start", "asks", "--run-id", "r", "--url", first.url]);
  await first.server.output(/count: waiting for an answer\n {2}answer with: pawl answer r \w+ --data '…' --url/);
  await first.server.output(/review: waiting for an answer\n/);
  first.server.kill("SIGKILL");
  await first.server.ended;

  const second = await serve(["asks.ts"], { cwd: folder });
  const run = (...args: string[]) => pawl([...args, "--url", second.url], { cwd: folder });
  const shown = (await run("show", "r")).stdout;
  expect(shown).toMatch(/review {2}waiting +for an answer; since \S+Z\n/);
  const [, reviewId = ""] =
    /\nreview asks \{"question":"Is it good\?"\}\nanswer with: pawl answer r (\w+) --data '…'\n/.exec(shown) ?? [];
  const unclear = await run("answer", "r", "--data", "5");
  expect(unclear).toMatchObject({ code: 1, stdout: "" });
  expect(unclear.stderr).toMatch(
    /Run r asks 2 things; say which one you answer:\n {2}\w+ {2}review asks .*\n {2}\w+ {2}count/,
  );
  const wrong = await run("answer", "r", reviewId, "--data", "5");
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("(invalid_payload, see") });
  expect((await run("answer", "r", reviewId, "--data", '{"ok":true}')).stdout).toBe(
    "Run r has the answer, and is running.\n",
  );
  await second.server.output(/review: answer received\n[^]*review: succeeded/);
  const again = await run("answer", "r", reviewId, "--data", '{"ok":false}');
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("(interrupt_conflict, see") });
  expect((await run("answer", "r", "--data", "3")).code).toBe(0);
  await second.server.output(/run succeeded/);
  expect(JSON.parse((await run("show", "r", "--json")).stdout).output).toEqual({ review: true, count: 3 });
  const nothing = await run("answer", "r", "--data", "3");
  expect(nothing).toMatchObject({ code: 1, stderr: "pawl: Run r asks nothing now; it is succeeded.\n" });
});
