// Tests that leave work behind, each in its own way, and tests that do not: see leftovers.test.ts.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, watch } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished, test } from "vitest";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function threeTurns(): Promise<void> {
  await turn();
  await turn();
  await turn();
}

async function listening(answer: "answers" | "is silent"): Promise<{ readonly server: Server; readonly url: string }> {
  const server = createServer((_request, response) => {
    if (answer === "answers") response.end("here");
  });
  server.listen(0);
  await once(server, "listening");
  return { server, url: `http://localhost:${(server.address() as AddressInfo).port}` };
}

async function stop(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}

test("leaves an interval", () => {
  setInterval(() => undefined, 60_000);
});

test("leaves a timer that keeps no process alive", () => {
  setTimeout(() => undefined, 60_000).unref();
});

test("leaves a sleep", () => {
  void sleep(60_000, undefined, { ref: false });
});

test("leaves a server", async () => {
  const { server } = await listening("answers");
  server.unref();
});

test("leaves a request", async () => {
  const { server, url } = await listening("is silent");
  onTestFinished(() => void server.close());
  void fetch(url).catch(() => undefined);
  await once(server, "request");
});

test("leaves a child process", async () => {
  const child = spawn(process.execPath, ["--eval", "setTimeout(() => {}, 3_000)"], { stdio: "ignore" });
  await once(child, "spawn");
  child.unref();
});

test("leaves a file being read", () => {
  void readFile(import.meta.filename, "utf8");
});

test("leaves a watched file", () => {
  const changes = watch(import.meta.dirname, { persistent: false });
  void changes[Symbol.asyncIterator]().next();
});

test("leaves an async function that goes on", () => {
  void threeTurns();
});

const later = Promise.withResolvers<undefined>();

test("passes: nobody can know yet that what it left will go on", () => {
  void later.promise.then(() => sleep(1));
});

test("is told what an earlier test goes on with", async () => {
  later.resolve(undefined);
  await threeTurns();
});

test("fails for a reason of its own", () => {
  setInterval(() => undefined, 60_000).unref();
  throw new Error("of its own");
});

test("passes: all of it is awaited", async () => {
  await threeTurns();
  await sleep(1);
  await readFile(import.meta.filename, "utf8");
  clearInterval(setInterval(() => undefined, 60_000));
  const child = spawn(process.execPath, ["--version"]);
  await once(child, "close");
});

test("passes: its server is closed by a hook, and the client's idle connection with it", async () => {
  const { server, url } = await listening("answers");
  onTestFinished(() => stop(server));
  await (await fetch(url)).text();
});

test("passes: nothing will ever settle what it left", () => {
  void new Promise(() => undefined).then(threeTurns);
});

test("passes: a signal that aborts what has ended does nothing", () => {
  AbortSignal.timeout(60_000);
});
