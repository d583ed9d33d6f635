// Hunts: a pattern that meets text from outside and takes time that grows with the square of its length.
import { expect, test } from "vitest";
import { findJsonFault } from "../../lib/api/json-fault.ts";
import { anyRunId, instant, newRunId } from "../../lib/api/schemas.ts";
import { objectKey } from "../../lib/aws/s3-blobs.ts";
import { sendDeadLetter } from "../../lib/aws/sqs-requests.ts";
import { parseDuration } from "../../lib/definition/duration.ts";
import { failureFingerprint } from "../../lib/definition/failure-fingerprint.ts";
import { parseInstant } from "../../lib/definition/instant.ts";
import { isLoopback } from "../../lib/dev/foreign-pages.ts";
import { formatLogEntry } from "../../lib/dev/text.ts";
import { parseToken, withoutToken } from "../../lib/runtime/task-token.ts";
import { growth, tooSteep } from "./growth.ts";

const fingerprint = (message: string, stack?: string): string =>
  failureFingerprint({ workflow: "w" }, { name: "Error", message, ...(stack === undefined ? {} : { stack }) });

/** Whatever text of outside meets one of our patterns. */
const readers: Readonly<Record<string, (text: string) => unknown>> = {
  "a path with a token": withoutToken,
  "a token": parseToken,
  "a duration": parseDuration,
  "a time": parseInstant,
  "a time in a body": (text) => instant.safeParse(text),
  "a run id": (text) => anyRunId.safeParse(text),
  "a new run id": (text) => newRunId.safeParse(text),
  "a host": isLoopback,
  "a body that is no JSON": findJsonFault,
  "the message of an error": (text) => fingerprint(text),
  "the stack of an error": (text) => fingerprint("failed", `Error: failed\n    at ${text}\n`),
  "many lines of a stack": (text) => fingerprint("failed", text.replaceAll(" ", "\n   at ")),
  "the key of a blob": objectKey,
  "a log line": (text) => formatLogEntry({ level: "info", message: text, fields: { text, list: [text] } }),
  "a dead letter": (text) => sendDeadLetter("queue", { body: text, reason: text, taskQueue: text, receiveCount: 1 }),
};

/** What the patterns repeat, each as often as wanted, and an end that none of them allows. */
const pieces = [
  " ",
  "a",
  "1",
  "-",
  ".",
  "/",
  "\\",
  '"',
  "'",
  "a@",
  "1.",
  "at ",
  "[as ",
  "(",
  "# ",
  "/callbacks/",
  "A",
  "%",
];

test.each(Object.entries(readers))("%s", async (_what, read) => {
  for (const piece of pieces) {
    const text = (size: number): string => `${piece.repeat(size)}\u0001`;
    expect(await growth((size) => read(text(size)), 4_000), JSON.stringify(piece)).toBeLessThan(tooSteep);
  }
});
