// Hunts messages that SQS did not take and nobody sent again, and batches of which half was sent.
import { CreateScheduleCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { SendMessageBatchCommand, type SendMessageBatchCommandInput, SQSClient } from "@aws-sdk/client-sqs";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, describe, expect, test } from "vitest";
import { createSchedule } from "../../lib/aws/scheduler.ts";
import { createSqsQueue } from "../../lib/aws/sqs-queue.ts";
import { limits } from "../../lib/definition/limits.ts";
import type { MessageQueue } from "../../lib/runtime/ports.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { address, nowMs, outgoing } from "./sample-message.ts";

const sqs = new SQSClient({ region: "us-east-1" });
const scheduler = new SchedulerClient({ region: "us-east-1" });
const sqsMock = mockClient(sqs);
const schedulerMock = mockClient(scheduler);
let clock: VirtualClock;
let queue: MessageQueue;

beforeEach(() => {
  sqsMock.reset();
  schedulerMock.reset();
  schedulerMock.on(CreateScheduleCommand).resolves({});
  clock = new VirtualClock(nowMs);
  const random = { fraction: () => 0.5, id: () => "id", secret: () => "secret" };
  queue = createSqsQueue({
    sqs,
    createSchedule: (schedule) => createSchedule(scheduler, schedule),
    address,
    clock,
    random,
  });
});

type Answer = (runId: string) => "taken" | "throttled" | "senderFault" | "silence";

/** Answers each entry by its run's id. */
function answer(by: Answer): void {
  sqsMock.on(SendMessageBatchCommand).callsFake(({ Entries = [] }: SendMessageBatchCommandInput) => {
    const told = Entries.map(({ Id, MessageBody }) => ({ Id, is: by(JSON.parse(MessageBody!).runId) }));
    return {
      Successful: told.filter(({ is }) => is === "taken"),
      Failed: told
        .filter(({ is }) => is === "throttled" || is === "senderFault")
        .map(({ Id, is }) => ({ Id, Code: is, Message: "because", SenderFault: is === "senderFault" })),
    };
  });
}

/** Run ids of each request. */
function sent(): string[][] {
  return sqsMock
    .commandCalls(SendMessageBatchCommand)
    .map(({ args: [{ input }] }) => input.Entries!.map(({ MessageBody }) => JSON.parse(MessageBody!).runId));
}

async function sendIn(ms: number, ...messages: Parameters<MessageQueue["send"]>[0]): Promise<unknown> {
  const sending = queue.send(messages).then(
    () => "sent",
    (error: unknown) => error,
  );
  await clock.advance(ms);
  return sending;
}

describe("entries that are not taken", () => {
  test.each(["throttled", "silence"] as const)("%s: only those are sent again, until they are taken", async (fault) => {
    const refusals = new Map([
      ["b", 2],
      ["c", 1],
    ]);
    answer((runId) => {
      const left = refusals.get(runId) ?? 0;
      refusals.set(runId, left - 1);
      return left > 0 ? fault : "taken";
    });
    expect(await sendIn(5_000, outgoing("a"), outgoing("b"), outgoing("c"))).toBe("sent");
    expect(sent()).toEqual([["a", "b", "c"], ["b", "c"], ["b"]]);
  });

  test("the tries are bounded, and the error names the cause", async () => {
    answer((runId) => (runId === "b" ? "throttled" : "taken"));
    expect(String(await sendIn(60_000, outgoing("a"), outgoing("b")))).toMatch(
      /1 of 2 messages were not taken by https:\/\/sqs\/default: throttled because/,
    );
    expect(sent()).toHaveLength(limits.batchTries);
    expect(clock.nextTimerAtMs()).toBeUndefined();
  });

  test("what would be refused again is not tried again", async () => {
    answer((runId) => (runId === "b" ? "senderFault" : "taken"));
    expect(String(await sendIn(60_000, outgoing("a"), outgoing("b")))).toMatch(/senderFault/);
    expect(sent()).toHaveLength(1);
  });
});

test("one message that cannot be sent, and none is", async () => {
  answer(() => "taken");
  expect(String(await sendIn(0, outgoing("a"), outgoing("b", 0, "crm")))).toMatch(/task queue "crm"/);
  expect(String(await sendIn(0, outgoing("a"), outgoing("b", Infinity)))).toMatch(/limits\.delayMs/);
  expect(sent()).toEqual([]);
});

test("nothing is asked of AWS for no messages", async () => {
  expect(await sendIn(0)).toBe("sent");
  expect(sent()).toEqual([]);
});

test("several task queues and a timer that SQS cannot wait for go out together", async () => {
  answer(() => "taken");
  const messages = [
    outgoing("a"),
    outgoing("b", 5_000, "inventory"),
    outgoing("c", limits.queueDelayMs + 1, "inventory"),
  ];
  expect(await sendIn(0, ...messages)).toBe("sent");
  expect(sent()).toEqual([["a"], ["b"]]);
  expect(schedulerMock.commandCalls(CreateScheduleCommand).map(({ args: [{ input }] }) => input)).toMatchObject([
    {
      ScheduleExpression: "at(2026-11-21T12:15:01)",
      Target: {
        Arn: address.queues.inventory.arn,
        RoleArn: address.scheduleRole,
        Input: JSON.stringify(messages[2]!.message),
      },
    },
  ]);
});

test("a send that fails is over only when all of its requests are", async () => {
  const slow = Promise.withResolvers<object>();
  let isOver = false;
  sqsMock.on(SendMessageBatchCommand, { QueueUrl: address.queues.default.url }).rejects(new Error("refused"));
  sqsMock
    .on(SendMessageBatchCommand, { QueueUrl: address.queues.inventory.url })
    .callsFake(async () => slow.promise.then(() => ({ Successful: [{ Id: "0" }] })));
  const sending = queue.send([outgoing("a"), outgoing("b", 0, "inventory")]).catch((error: unknown) => {
    isOver = true;
    return error;
  });
  await clock.advance(1);
  expect(isOver).toBe(false);
  slow.resolve({});
  expect(String(await sending)).toMatch(/refused/);
});
