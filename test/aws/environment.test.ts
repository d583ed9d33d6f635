// Hunts functions that start with half of an environment and fail later, without saying why.
import { describe, expect, test } from "vitest";
import { environmentNames, readName, readStackAddress, writeStackAddress } from "../../lib/aws/environment.ts";

const address = {
  table: "table",
  blobs: "blobs",
  queues: { default: { url: "https://sqs.us-east-1.amazonaws.com/0/default", arn: "arn:aws:sqs:us-east-1:0:default" } },
  scheduleGroup: "group",
  scheduleRole: "arn:aws:iam::0:role/schedules",
  replies: { prefix: "replies-" },
};

describe("the address of a stack", () => {
  test("is read as it was written", () => {
    expect(readStackAddress(writeStackAddress(address))).toEqual(address);
  });

  test("every fault is named at once", () => {
    const environment = {
      ...writeStackAddress(address),
      PAWL_TABLE: "",
      PAWL_BLOBS: undefined,
      PAWL_QUEUES: '{"default":{"url":"nowhere"}}',
    };
    const read = (): unknown => readStackAddress(environment);
    expect(read).toThrow(/PAWL_TABLE is not set/);
    expect(read).toThrow(/PAWL_BLOBS is not set/);
    expect(read).toThrow(/PAWL_QUEUES\.default\.url: Invalid URL/);
    expect(read).toThrow(/PAWL_QUEUES\.default\.arn/);
    expect(read).toThrow(/grantStart/);
  });

  test("queues that are no JSON", () => {
    expect(() => readStackAddress({ ...writeStackAddress(address), PAWL_QUEUES: "{" })).toThrow(
      /PAWL_QUEUES: is not JSON/,
    );
  });
});

describe("a name beside it", () => {
  test("is read by what it is for", () => {
    expect(readName({ [environmentNames.archive]: "https://sqs/archive" }, "archive")).toBe("https://sqs/archive");
  });

  test.each([undefined, ""])("that is %j is told", (value) => {
    expect(() => readName({ PAWL_TASK_QUEUE: value }, "taskQueue")).toThrow(/PAWL_TASK_QUEUE is not set.*pawl\/cdk/);
  });
});
