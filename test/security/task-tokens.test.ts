// Hunts: an answer by a token that was never handed out, was used, belongs to another attempt, run or engine, or tells whether a run exists.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { type PawlError, workflow } from "../../lib/index.ts";
import { formatToken, parseToken, type TaskToken } from "../../lib/runtime/task-token.ts";
import { type Harness, harness, temporaryFolder } from "../behaviour/harness.ts";

const tokens: string[] = [];
const newest = (): string => tokens.at(-1) ?? "";

const pay = workflow("pay", {}, (w) => {
  const quote = w.step("quote", { run: () => 1 });
  const paid = w.callback("payment", {
    after: [quote],
    output: z.number(),
    timeout: "1h",
    retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1s" } },
    run: ({ token }) => void tokens.push(token),
  });
  return w.step("end", { after: [paid], run: ({ outputs }) => outputs.payment });
});

const notFound = {
  code: "callback_not_found",
  message: "No callback waits for an answer by this token: it is unknown, was used before, or its attempt is over.",
};

async function waiting(dataDir?: string): Promise<Harness & { readonly runId: string; readonly token: string }> {
  const world = await harness([pay], dataDir === undefined ? {} : { dataDir });
  const { runId } = await world.run(pay, undefined);
  return { ...world, runId, token: newest() };
}

/** Each of the three answers is refused in the same words, and nothing is told beside them. */
async function expectRefused({ engine }: Harness, token: string): Promise<void> {
  const { callbacks } = engine.commands;
  const answers = [
    () => callbacks.succeed(token, 1),
    // Not even what it would have to look like.
    () => callbacks.succeed(token, "no number"),
    () => callbacks.fail(token, { message: "no" }),
    () => callbacks.heartbeat(token),
  ];
  for (const answer of answers) {
    const error = await answer().then(
      () => expect.fail(`taken: ${JSON.stringify(token.slice(0, 200))}`),
      (thrown: unknown) => thrown as PawlError,
    );
    expect({ code: error.code, message: error.message, details: error.details }).toEqual({
      ...notFound,
      details: undefined,
    });
  }
}

function changed(token: string, change: Partial<TaskToken>): string {
  return formatToken({ ...(parseToken(token) as TaskToken), ...change });
}

describe("a token that nobody handed out", () => {
  test("is refused, whichever part is another one", async () => {
    const world = await waiting();
    const { token, runId } = world;
    const { secret, step, epoch, attempt } = parseToken(token) as TaskToken;
    const other = await world.run(pay, undefined);
    const forged = {
      "another secret": changed(token, { secret: `${secret.slice(0, -1)}${secret.endsWith("A") ? "E" : "A"}` }),
      "no secret": Buffer.from(`/${step}/${epoch}/${attempt}/${runId}`).toString("base64url"),
      "a short secret": changed(token, { secret: secret.slice(0, 1) }),
      "the hash of the secret": changed(token, { secret: "AAAAAAAAAAAAAAAAAAAAAA" }),
      "another run": changed(token, { runId: other.runId }),
      "a run that is not there": changed(token, { runId: "nobody" }),
      "the run in other letters": changed(token, { runId: runId.toUpperCase() }),
      "another step": changed(token, { step: step + 1 }),
      "a step without a callback": changed(token, { step: 0 }),
      "a step beyond the graph": changed(token, { step: 199 }),
      "another attempt": changed(token, { attempt: attempt + 1 }),
      "no attempt": changed(token, { attempt: 0 }),
      "another epoch": changed(token, { epoch: epoch + 1 }),
    };
    for (const text of Object.values(forged)) await expectRefused(world, text);
    expect((await world.show(runId)).steps.payment?.status).toBe("waiting");
    await world.engine.commands.callbacks.succeed(token, 7);
  });

  test("is refused, however the true one is written otherwise", async () => {
    const world = await waiting();
    const { token } = world;
    const bytes = Buffer.from(token, "base64url");
    const variants = [
      "",
      " ",
      "\0",
      "/",
      "..",
      `${token} `,
      ` ${token}`,
      `${token}\n`,
      `${token}\0`,
      `${token}=`,
      `${token}==`,
      bytes.toString("base64"),
      bytes.toString("hex"),
      bytes.toString("latin1"),
      encodeURIComponent(bytes.toString()),
      `${token}${token}`,
      token.toUpperCase(),
      token.replace(/./, (first) => String.fromCharCode(first.charCodeAt(0) + 0xfee0)),
      `${token}\u200b`,
      `\u202e${token}`,
      `${token}A`,
      "x".repeat(limits.tokenLength + 1),
      `${token}${"A".repeat(10_000_000)}`,
      "🔑".repeat(100),
      "\ud800",
      "__proto__",
      "constructor",
    ].filter((text) => text !== token);
    for (const text of variants) await expectRefused(world, text);
    await world.engine.commands.callbacks.succeed(token, 7);
  });

  test("is refused at each cut, and with each of its bits turned", async () => {
    const world = await waiting();
    const { token } = world;
    const { callbacks } = world.engine.commands;
    for (let end = 0; end < token.length; end++) {
      await expect(callbacks.heartbeat(token.slice(0, end))).rejects.toMatchObject(notFound);
      await expect(callbacks.heartbeat(token.slice(end + 1))).rejects.toMatchObject(notFound);
    }
    const bytes = Buffer.from(token, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const turned = Buffer.from(bytes);
      turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await expect(callbacks.heartbeat(turned.toString("base64url"))).rejects.toMatchObject(notFound);
    }
    await callbacks.succeed(token, 7);
  });
});

describe("a token that was good", () => {
  test("is dead after its answer", async () => {
    const world = await waiting();
    await world.engine.commands.callbacks.succeed(world.token, 7);
    await expectRefused(world, world.token);
    await world.pass(0);
    await expectRefused(world, world.token);
    expect(await world.show(world.runId)).toMatchObject({ status: "succeeded", output: 7 });
  });

  test("is dead after a failure, in the next attempt, and after the time is over", async () => {
    const world = await waiting();
    const first = world.token;
    await world.engine.commands.callbacks.fail(first, { message: "declined" });
    await expectRefused(world, first);
    await world.pass(2_000);
    const second = newest();
    expect(second).not.toBe(first);
    await expectRefused(world, first);
    await world.pass(3_600_000);
    expect((await world.show(world.runId)).status).toBe("failed");
    for (const token of [first, second]) await expectRefused(world, token);
  });

  test("is dead in the run that is redriven, and unknown to its fork", async () => {
    const world = await waiting();
    const { engine, runId, token } = world;
    await engine.commands.callbacks.fail(token, { message: "declined", retryable: false });
    await world.pass(0);
    await engine.commands.redrive(runId);
    await world.pass(0);
    expect(newest()).not.toBe(token);
    await expectRefused(world, token);
    await expectRefused(world, changed(newest(), { epoch: 0 }));
    const ofRun = newest();
    const fork = await engine.commands.fork(runId, { from: "payment" });
    await world.pass(0);
    const ofFork = newest();
    expect(parseToken(ofFork)?.runId).toBe(fork.runId);
    await expectRefused(world, changed(ofRun, { runId: fork.runId }));
    await expectRefused(world, changed(ofFork, { runId }));
    await engine.commands.callbacks.succeed(ofFork, 1);
    await engine.commands.callbacks.succeed(ofRun, 2);
  });

  test("is dead when its run is cancelled, and when it is deleted", async () => {
    const world = await waiting();
    await world.engine.commands.cancel(world.runId);
    await world.pass(0);
    await expectRefused(world, world.token);
    await world.engine.commands.purge(world.runId);
    await expectRefused(world, world.token);
  });

  test("means nothing to another run of the same id on another engine", async () => {
    const here = await harness([pay]);
    const there = await harness([pay]);
    for (const { engine, pass } of [here, there]) {
      await engine.commands.start("pay", { runId: "one" });
      await pass(0);
    }
    const [ofHere = "", ofThere = ""] = tokens.slice(-2);
    expect(ofHere).not.toBe(ofThere);
    await expectRefused(there, ofHere);
    await expectRefused(here, ofThere);
    await here.engine.commands.callbacks.succeed(ofHere, 1);
  });
});

test("the secret of a token is in no file, not even of a run that was answered, failed and redriven", async () => {
  const dataDir = await temporaryFolder();
  const before = tokens.length;
  const world = await waiting(dataDir);
  await world.engine.commands.callbacks.fail(world.token, { message: "declined", retryable: false });
  await world.pass(0);
  await world.engine.commands.redrive(world.runId);
  await world.pass(0);
  await world.engine.commands.callbacks.succeed(newest(), 7);
  await world.pass(0);
  await world.run(pay, undefined);
  const handedOut = tokens.slice(before);
  expect(handedOut).toHaveLength(3);
  const stored = readdirSync(dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n");
  // The files are those of this run.
  expect(stored).toContain(world.runId);
  for (const token of handedOut) {
    expect(stored).not.toContain(token);
    expect(stored).not.toContain(parseToken(token)?.secret);
  }
});
