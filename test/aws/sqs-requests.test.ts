// Hunts requests to SQS that are early, too large, or refused for a character.
import { describe, expect, test } from "vitest";
import { pack, sendBatches, sendCopy, sendDeadLetter } from "../../lib/aws/sqs-requests.ts";
import { limits } from "../../lib/definition/limits.ts";
import { address, outgoing } from "./sample-message.ts";

const packed = (...messages: Parameters<typeof outgoing>[]) =>
  messages.map((given) => pack(outgoing(...given), address.queues));

describe("pack", () => {
  test("names the task queue that the stack does not have, and those that it has", () => {
    expect(() => packed(["a", 0, "crm"])).toThrow(/task queue "crm".*"default", "inventory".*taskQueues/);
    expect(() => packed(["a", 0, "constructor"])).toThrow(/task queue "constructor"/);
  });

  test("refuses what no queue keeps", () => {
    expect(() => packed(["a", Number.NaN])).toThrow(/delay of NaN/);
    expect(() => packed(["a", Infinity])).toThrow(/limits\.delayMs/);
    expect(() => packed(["é".repeat(limits.messageBytes / 2)])).toThrow(
      /step message of run é+ has \d+ bytes; at most 16384/,
    );
  });
});

describe("batches", () => {
  test("a message as data", () => {
    expect(sendBatches(packed(["a", 1_500]))).toEqual([
      {
        QueueUrl: "https://sqs/default",
        Entries: [{ Id: "0", MessageBody: JSON.stringify(outgoing("a").message), DelaySeconds: 2 }],
      },
    ]);
  });

  test("a message that is due at once or in the past has no delay", () => {
    const [batch] = sendBatches(packed(["a", 0], ["b", -5]));
    expect(batch!.Entries!.map(({ DelaySeconds }) => DelaySeconds)).toEqual([undefined, undefined]);
  });

  test("delays are rounded up, and 15 minutes is the most that comes here", () => {
    const [batch] = sendBatches(packed(["a", 0.5], ["b", 1_000], ["c", 1_001], ["d", limits.queueDelayMs]));
    expect(batch!.Entries!.map(({ DelaySeconds }) => DelaySeconds)).toEqual([1, 1, 2, 900]);
  });

  test("ten at most, of one queue each, with ids that differ", () => {
    const ids = Array.from({ length: 23 }, (_, n) => `r${n}`);
    const batches = sendBatches([
      ...packed(...ids.map((id): [string, number, string] => [id, 0, "inventory"])),
      ...packed(["other"]),
    ]);
    expect(batches.map(({ QueueUrl, Entries }) => [QueueUrl, Entries!.length])).toEqual([
      ["https://sqs/inventory", 10],
      ["https://sqs/inventory", 10],
      ["https://sqs/inventory", 3],
      ["https://sqs/default", 1],
    ]);
    for (const { Entries } of batches) expect(new Set(Entries!.map(({ Id }) => Id)).size).toBe(Entries!.length);
    const sent = batches.flatMap(({ Entries }) => Entries!.map(({ MessageBody }) => JSON.parse(MessageBody!).runId));
    expect(sent).toEqual([...ids, "other"]);
  });
});

test("a copy says how often it was told to come again", () => {
  expect(sendCopy("https://sqs/default", { body: "{}", redeliveries: 3 }, 200)).toEqual({
    QueueUrl: "https://sqs/default",
    MessageBody: "{}",
    DelaySeconds: 1,
    MessageAttributes: { redeliveries: { DataType: "Number", StringValue: "3" } },
  });
});

describe("dead letters", () => {
  const dead = { body: "{}", reason: "why", taskQueue: "default", receiveCount: 2 };

  test("keep the body as it is, and what is known of it beside it", () => {
    expect(sendDeadLetter("https://sqs/dead", dead)).toEqual({
      QueueUrl: "https://sqs/dead",
      MessageBody: "{}",
      MessageAttributes: {
        reason: { DataType: "String", StringValue: "why" },
        taskQueue: { DataType: "String", StringValue: "default" },
        receiveCount: { DataType: "Number", StringValue: "2" },
      },
    });
  });

  test("a reason is never what SQS would refuse", () => {
    const reasonOf = (reason: string): string | undefined =>
      sendDeadLetter("u", { ...dead, reason }).MessageAttributes?.reason?.StringValue;
    expect(reasonOf("")).toBe("unknown");
    expect(reasonOf("\u0000\u0008\u001F\uFFFE\uD800")).toBe("\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
    expect(reasonOf("tab\t, line\n, 世界 👩‍👩‍👧")).toBe("tab\t, line\n, 世界 👩‍👩‍👧");
    expect(reasonOf("x".repeat(5_000))).toHaveLength(limits.reasonLength);
  });

  test("a body that leaves no room for them is cut off, and says so", () => {
    const body = "é".repeat(512 * 1024);
    const { MessageBody, MessageAttributes } = sendDeadLetter("u", { ...dead, body, reason: "世".repeat(5_000) });
    const attributes = Object.entries(MessageAttributes!).map(([name, value]) => [name, value]);
    const bytes = Buffer.byteLength(MessageBody!) + Buffer.byteLength(JSON.stringify(attributes));
    expect(bytes).toBeLessThanOrEqual(1024 * 1024);
    expect(bytes).toBeGreaterThan(1024 * 1024 - 10 * 1024);
    expect(MessageAttributes!.bytes).toEqual({ DataType: "Number", StringValue: String(1024 * 1024) });
  });
});
