// Hunts: a limit that no longer fits the ones it relates to, or the AWS limit that it stands for (R8).
import { describe, expect, test } from "vitest";
import { bodyBytes } from "../../lib/api/schemas.ts";
import { limits } from "../../lib/definition/limits.ts";
import { writeCursor } from "../../lib/runtime/run-cursor.ts";
import { parseListRequest } from "../../lib/runtime/run-query.ts";

const seconds = 1_000;
const minutes = 60 * seconds;
const days = 24 * 60 * minutes;

test("every limit is a whole number above 0", () => {
  for (const [name, value] of Object.entries(limits))
    expect.soft([name, Number.isInteger(value) && value > 0]).toEqual([name, true]);
});

describe("leases", () => {
  test("two renewals may be lost before a lease ends: one failed call does not cost an attempt", () => {
    expect(limits.leaseMs).toBeGreaterThan(2 * limits.leaseRenewalMs);
  });

  test("a message is invisible for longer than a lease: whoever sees it again may take over at once", () => {
    expect(limits.visibilityMs).toBeGreaterThan(limits.leaseMs);
  });

  test("a message is extended before it becomes visible, also when one extension is lost", () => {
    expect(limits.visibilityMs).toBeGreaterThan(2 * limits.leaseRenewalMs);
  });

  test("visibility fits SQS, which allows 12 h after the receipt, background work included", () => {
    expect(limits.visibilityMs + limits.backgroundMs).toBeLessThan(12 * 60 * minutes);
  });

  test("an aborted attempt is given up before its lease ends, or its commit would be refused for nothing", () => {
    expect(limits.abortGraceMs).toBeLessThan(limits.leaseMs - limits.leaseRenewalMs);
  });

  test("a lease that an honest but differing clock has set is waited for", () => {
    expect(limits.clockSkewMs).toBeGreaterThan(0);
    expect(limits.leaseMs + limits.clockSkewMs).toBeLessThan(10 * minutes);
  });
});

describe("arming before writing", () => {
  test("a nudge comes after its sender has written or died: an HTTP API's function lives up to 30 s", () => {
    expect(limits.nudgeDelayMs).toBeGreaterThan(30 * seconds);
  });

  test("a start tries several times within its grace time", () => {
    expect(limits.startGraceMs).toBeGreaterThan(10 * limits.startRetryMs);
  });

  test("the grace time is longer than an HTTP API's function lives, so that a slow start still finds its message", () => {
    expect(limits.startGraceMs).toBeGreaterThan(30 * seconds);
  });

  // must still keep the message then: it compares the sender's time with its own.
  test("a message outlives its start although the clocks of sender and worker differ", () => {
    expect(limits.startGraceMs - limits.clockSkewMs).toBeGreaterThanOrEqual(limits.startGraceMs / 2);
  });

  test("delays of SQS reach as far as nudges, retries of a start and leases need: 15 min", () => {
    for (const ms of [limits.nudgeDelayMs, limits.startRetryMs, limits.leaseMs, limits.visibilityMs]) {
      expect(ms).toBeLessThanOrEqual(15 * minutes);
    }
  });
});

describe("waiting for the end of a run", () => {
  test("who begins to wait at the oldest queue of a process has waited before it is taken for an orphan", () => {
    expect(limits.replyQueueMs + limits.waiterMs + limits.clockSkewMs).toBeLessThan(limits.replyOrphanMs);
  });

  test("one request for notices fits what SQS waits for, 20 s, and ends before the next is due", () => {
    expect(limits.replyPollMs).toBeLessThanOrEqual(20 * seconds);
    expect(limits.replyRetryMs).toBeLessThan(limits.waiterMs);
  });

  test("the waiters of a run, with names of 21 bytes and times of 8, take up to a write unit more, and an expression holds them", () => {
    expect(limits.waiters * (1 + 21 + 8)).toBeLessThan(limits.runItemBytes);
  });

  test("an answer over HTTP is waited for longer than API Gateway takes for it, 30 s", () => {
    expect(limits.httpAnswerMs).toBeGreaterThan(30 * seconds);
    expect(limits.httpPauseMs * 2 ** limits.httpTries).toBeLessThan(limits.httpPauseMostMs);
  });
});

describe("sizes", () => {
  test("a payload that is no blob fits a DynamoDB item of 400 KB with its keys, names and the fields beside it", () => {
    const itemBytes = 400 * 1024;
    const besides = 2 * limits.runIdLength + limits.tagsPerRun * 2 * 4 * limits.tagLength;
    expect(limits.itemPayloadBytes + Math.min(besides, 4 * 1024)).toBeLessThan(itemBytes);
  });

  test("a payload fits what Lambda takes and answers, 6 MB, in a body with white space and its envelope", () => {
    expect(bodyBytes).toBeGreaterThan(limits.payloadBytes);
    expect(bodyBytes + 64 * 1024).toBeLessThan(6_000_000);
  });

  test("what is shown with a run is never a blob, and the payloads of a graph of 50 steps fit one answer", () => {
    expect(limits.shownPayloadBytes).toBeLessThan(limits.itemPayloadBytes);
    expect(50 * limits.shownPayloadBytes + limits.shownPayloadBytes).toBeLessThan(6_000_000);
  });

  test("a whole graph's states fit a DynamoDB item many times over, and an inline payload never fills it", () => {
    expect(limits.stepsPerWorkflow * (limits.stepStateBytes + limits.runItemBytes)).toBeLessThan(400 * 1024);
  });

  test("an inline payload leaves a chain of ten within one write unit", () => {
    expect(10 * limits.stepStateBytes).toBeLessThan(limits.runItemBytes / 2);
    expect(limits.runItemBytes).toBe(1024);
  });

  test("a message takes one SQS request of 64 KiB, and ten of them fit one batch of 1 MiB", () => {
    expect(limits.messageBytes).toBeLessThanOrEqual(64 * 1024);
    expect(10 * limits.messageBytes).toBeLessThanOrEqual(1024 * 1024);
  });

  test("names and ids leave room in a message and in a key of 2,048 bytes", () => {
    expect(limits.runIdLength).toBeLessThan(2_048);
    expect(4 * (limits.runIdLength + 2 * limits.nameLength)).toBeLessThan(limits.messageBytes);
  });

  test("an error is shorter in the run than with its step", () => {
    expect(limits.errorSummaryLength).toBeLessThan(limits.errorMessageLength);
    expect(limits.errorMessageLength).toBeLessThan(limits.errorStackLength);
    expect(limits.errorSummaryLength).toBeLessThan(limits.runItemBytes);
    // A character takes up to three bytes, and JSON escapes up to six.
    expect(6 * (limits.errorMessageLength + limits.errorStackLength)).toBeLessThan(limits.payloadBytes);
  });

  test("who ended a step by hand, and why, is shown with its run", () => {
    expect(6 * (limits.byLength + limits.reasonLength)).toBeLessThan(limits.shownPayloadBytes / 2);
  });

  test("errors are shown with their run, however long: those of a step, and those of its background work", () => {
    const besides = 2 * limits.nameLength;
    const record = 6 * (limits.errorMessageLength + limits.errorStackLength + besides);
    expect(record).toBeLessThan(limits.shownPayloadBytes);
    const inBackground = 6 * (limits.errorMessageLength + besides);
    expect(limits.backgroundErrors * inBackground).toBeLessThan(limits.shownPayloadBytes);
  });

  test("one write's steps fit a DynamoDB expression of 4 KB, and a whole graph is settled in a few writes", () => {
    const perStep = "attribute_not_exists(#g999) AND #s999 = :s999, ".length;
    expect(limits.settledPerWrite * perStep).toBeLessThan(4 * 1024 - 500);
    expect(limits.stepsPerWorkflow / limits.settledPerWrite).toBeLessThanOrEqual(limits.decisionTries);
  });

  test("nesting stays far below what JSON.parse and recursion bear", () => {
    expect(limits.payloadDepth).toBeLessThanOrEqual(1_000);
  });
});

describe("what runs and steps share", () => {
  test("a gate whose slots are all held, and a rate's groups, fit an item; the latter one write unit", () => {
    const [perHolder, perGroup] = ["h1234567890".length + 2, "mjuohq74.zzzzzz.rs ".length];
    expect(limits.flowLimit * perHolder).toBeLessThan(20 * 1024);
    expect((limits.rateGroups + 1) * perGroup).toBeLessThan(1024 - 100);
  });

  test("a key fits a DynamoDB key of 2,048 bytes with the names beside it", () => {
    expect(3 * limits.flowKeyLength + 2 * limits.nameLength + 20).toBeLessThan(2_048);
  });

  test("an attempt that waits looks again before SQS would show its message by itself: 12 h", () => {
    expect(limits.rateWaitMs).toBeLessThan(12 * 60 * minutes);
    expect(limits.rateWaitMs).toBeLessThan(limits.rateMostMs);
    expect(limits.rateLeastMs).toBeGreaterThanOrEqual(seconds);
  });

  test("handing on slots takes one delivery less time than its message stays invisible, at 100 ms each", () => {
    expect(limits.slotsPerDelivery * 100).toBeLessThan(limits.visibilityMs);
  });
});

describe("times", () => {
  test("a pause between attempts, and an attempt, are within the longest delay", () => {
    expect(limits.retryDelayMs).toBeLessThanOrEqual(limits.delayMs);
    expect(limits.stepTimeoutMs).toBeLessThanOrEqual(limits.delayMs);
  });

  test("delays reach over any year, and stay within what a Date can hold", () => {
    expect(limits.delayMs).toBeGreaterThanOrEqual(366 * days);
    expect(Number.isNaN(new Date(8.64e15 - limits.delayMs).getTime())).toBe(false);
  });

  test("an attempt may take as long as Lambda allows, and longer where nothing else ends it", () => {
    expect(limits.stepTimeoutMs).toBeGreaterThan(15 * minutes);
  });

  test("tracked background work ends within what Lambda leaves of its 15 min", () => {
    expect(limits.backgroundMs).toBeLessThan(15 * minutes);
  });
});

describe("messages that change nothing", () => {
  test("may go up and down through all levels of runs many times over, and no circle costs a cent", () => {
    const levelsOfMap = 1 + Math.ceil(Math.log(limits.mapItems / limits.shardItems) / Math.log(limits.shardFanOut));
    const longestChain = 2 * (limits.nesting + 1) * (1 + levelsOfMap);
    expect(limits.hops).toBeGreaterThanOrEqual(10 * longestChain);
    // Three requests of SQS, an invocation of Lambda and a read for each.
    expect(limits.hops * ((3 * 0.4 + 0.2 + 0.13) / 1e6)).toBeLessThan(0.01);
  });
});

describe("the audit", () => {
  test("takes nothing for lost that may still be hidden in a queue, or is late because clocks differ", () => {
    const hidden = [limits.visibilityMs + limits.leaseMs, limits.backgroundMs + limits.visibilityMs, limits.rateWaitMs];
    for (const ms of [...hidden, limits.startGraceMs, limits.nudgeDelayMs + limits.clockSkewMs]) {
      expect(limits.auditAfterMs).toBeGreaterThanOrEqual(ms);
    }
  });

  test("ends one call within a minute, at 10 ms for each of three reads of a run", () => {
    expect((3 * 10 * limits.auditRuns) / limits.auditReads).toBeLessThan(minutes);
  });
});

describe("schedules", () => {
  test("come in whole minutes, and reach no further than any delay", () => {
    expect(limits.scheduleLeastMs).toBe(minutes);
    expect(limits.delayMs % limits.scheduleLeastMs).toBe(0);
  });

  test("a template of 1 MB holds the inputs of dozens of them, escaped as JSON within JSON", () => {
    expect(30 * 2 * limits.scheduleInputBytes).toBeLessThan(1024 * 1024);
  });
});

describe("tries", () => {
  test("a message that some deliveries fail is kept within what SQS redrive policies allow: 1,000", () => {
    expect(limits.deliveries).toBeGreaterThan(1);
    expect(limits.deliveries).toBeLessThanOrEqual(1_000);
  });

  test("a decision has as many tries as several parallel siblings need", () => {
    expect(limits.decisionTries).toBeGreaterThanOrEqual(10);
  });
});

describe("messages on SQS", () => {
  test("an outage of an hour makes no dead letters: pauses double from a second", () => {
    const pauses = Array.from({ length: limits.receives }, (_, n) => Math.min(1_000 * 2 ** n, limits.redeliveryMs));
    expect(pauses.reduce((sum, pause) => sum + pause)).toBeGreaterThan(60 * minutes);
    expect(limits.receives).toBeLessThanOrEqual(1_000);
  });

  test("are delayed by no more than SQS allows, and ten of them are one request", () => {
    expect(limits.queueDelayMs).toBe(15 * minutes);
    expect(10 * limits.messageBytes).toBeLessThanOrEqual(1024 * 1024);
  });

  test("their visibility is only ever shortened", () => {
    expect(limits.queueVisibilityMs).toBeGreaterThan(limits.visibilityMs);
  });

  test("a function that lives for 30 s longer than its step has time to abort it and to say so", () => {
    expect(limits.abortGraceMs + limits.farewellMs).toBeLessThan(30 * seconds);
  });
});

describe("requests to AWS", () => {
  // What the SDK's standard mode waits between tries of a throttled request, at most.
  const pauses = (tries: number): number => 1_000 * (2 ** (tries - 1) - 1);

  test("end, at the worst, before the nudge comes that was armed for them, and before a lease does", () => {
    const longestMs = limits.requestTries * limits.requestMs + pauses(limits.requestTries);
    expect(longestMs).toBeLessThan(limits.leaseMs);
    expect(longestMs).toBeLessThan(limits.nudgeDelayMs - 10_000);
    expect(limits.blobTries * limits.blobRequestMs + pauses(limits.blobTries)).toBeLessThan(limits.leaseMs);
  });

  test("ask for what DynamoDB takes in a batch, and in a transaction", () => {
    expect(limits.batchKeys).toBeLessThanOrEqual(100);
    expect(limits.batchWrites).toBeLessThanOrEqual(25);
    expect(limits.transactionWrites).toBeLessThanOrEqual(100);
    // One change is counted in one: under two statuses and a duration of one day, an expiry, two kinds of failures.
    expect(limits.transactionWrites).toBeGreaterThanOrEqual(6);
  });

  test("of one list go beside each other on the connections that the SDK opens", () => {
    expect(limits.listQueries).toBeLessThanOrEqual(50);
    expect(limits.listReads % limits.batchKeys).toBe(0);
  });

  test("remember what is counted for longer than the stream keeps its records, clocks that differ included", () => {
    expect(limits.countedMs).toBeGreaterThan(24 * 60 * minutes + limits.clockSkewMs);
  });
});

describe("lists", () => {
  test("a page of rare matches reads no more than the longest page of all", () => {
    expect(limits.listReads).toBeLessThanOrEqual(limits.listedRuns);
  });

  test("a cursor, which has a run's id in it, is as long as the longest of them needs", () => {
    const runId = "x".repeat(limits.derivedRunIdLength);
    const cursor = writeCursor({ createdAtMs: Number.MAX_SAFE_INTEGER, runId }, {});
    expect(() => parseListRequest({ cursor })).not.toThrow();
  });
});
