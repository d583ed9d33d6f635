// Hunts: a callback that a killed server forgets, a command that answers otherwise than it says, a token on a display.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { buildOnce, folderWith, pawl, serve } from "./pawl-process.ts";

const patient = { timeout: 30_000 };

beforeAll(buildOnce, 60_000);

const asks = `
import { writeFileSync } from "node:fs";
import { workflow } from "pawl";
import * as z from "zod";

export const asks = workflow("asks", {}, (w) => {
  const paid = w.callback("payment", {
    output: z.object({ reference: z.string() }),
    timeout: "2d",
    heartbeatTimeout: "1h",
    retry: { backoff: { type: "fixed", base: "10ms" } },
    run: ({ token, attempt }) => writeFileSync(\`token-\${attempt}\`, token),
  });
  return w.step("end", { after: [paid], run: ({ outputs }) => outputs.payment.reference });
});
`;

test(
  "a callback outlives kill -9: the next server takes the answer, and nothing tells the token",
  patient,
  async () => {
    const folder = folderWith({ "asks.ts": asks });
    const token = (attempt: number): string => readFileSync(join(folder, `token-${attempt}`), "utf8");
    const first = await serve(["asks.ts"], { cwd: folder });
    await pawl(["start", "asks", "--run-id", "r", "--url", first.url]);
    await first.server.output(/asks r payment: running, attempt 1\n[^]*payment: waiting for callback, until .*\n/);
    const beat = await pawl(["callback", "heartbeat", token(1), "--url", first.url]);
    expect(beat).toMatchObject({ code: 0, stdout: "The callback waits on; run r is running.\n", stderr: "" });
    first.server.kill("SIGKILL");
    await first.server.ended;

    const second = await serve(["asks.ts"], { cwd: folder });
    const run = (...args: string[]) => pawl([...args, "--url", second.url], { cwd: folder });
    expect((await run("show", "r")).stdout).toMatch(/payment {2}waiting +1 +for callback; since \S+Z; until \S+Z\n/);
    const declined = await run("callback", "fail", token(1), "--name", "Declined", "--message", "no funds");
    expect(declined.stdout).toBe("The callback has failed; run r is running.\n");
    await second.server.output(/payment: waiting for callback/);
    const dead = await run("callback", "succeed", token(1), "--data", '{"reference":"P-1"}');
    expect(dead).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("(callback_not_found, see") });
    const unfit = await run("callback", "succeed", token(2), "--data", "5");
    expect(unfit).toMatchObject({ code: 1, stderr: expect.stringContaining("(invalid_payload, see") });
    writeFileSync(join(folder, "answer.json"), '{"reference":"P-2"}');
    const answered = await run("callback", "succeed", token(2), "--payload", "answer.json", "--json");
    expect(JSON.parse(answered.stdout)).toMatchObject({ runId: "r" });
    await second.server.output(/run succeeded/);
    expect(JSON.parse((await run("show", "r", "--json")).stdout)).toMatchObject({ output: "P-2" });
    expect((await run("workflows")).stdout).toMatch(/\n {2}payment {2}callback, for 2d at most\n/);

    const log = readFileSync(join(folder, ".pawl", "pawl.log"), "utf8");
    for (const text of [log, first.server.stdout, second.server.stdout, dead.stderr, unfit.stderr]) {
      for (const attempt of [1, 2]) expect(text).not.toContain(token(attempt));
    }

    for (const args of [
      ["callback"],
      ["callback", "answer", "t"],
      ["callback", "succeed"],
      ["callback", "fail", "t"],
      ["callback", "fail", "t", "--message", "x", "--data", "1"],
      ["callback", "succeed", "t", "--message", "x"],
      ["callback", "heartbeat", "t", "--data", "1"],
      ["callback", "succeed", "t", "--data", "{"],
    ]) {
      const ended = await run(...args);
      expect(ended, args.join(" ")).toMatchObject({ code: 2, stdout: "" });
      expect(ended.stderr).not.toBe("");
    }
  },
);
