// Hunts: an environment that is told of one variable at a time, or that comes through broken and fails at the first message.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readStackAddress, writeStackAddress } from "../../lib/aws/environment.ts";
import { hostileText } from "../api/hostile.ts";
import { budget } from "./budget.ts";

const whole = writeStackAddress({
  table: "table",
  blobs: "bucket",
  queues: { default: { url: "https://sqs.eu-west-1.amazonaws.com/0/default", arn: "arn:aws:sqs:eu-west-1:0:default" } },
  scheduleGroup: "group",
  scheduleRole: "arn:aws:iam::0:role/schedules",
  replies: { prefix: "pawl-replies-" },
});
const names = Object.keys(whole);

test("all variables that are missing or malformed are told in one error", () => {
  const gone = fc.subarray(names, { minLength: 1 });
  fc.assert(
    fc.property(gone, fc.constantFrom(undefined, ""), (missing, nothing) => {
      const environment = { ...whole, ...Object.fromEntries(missing.map((name) => [name, nothing])) };
      for (const name of missing) expect(() => readStackAddress(environment)).toThrow(`${name} is not set`);
    }),
    budget(100),
  );
});

test("queues that are no addresses are told by name, whatever is there", () => {
  const json = fc.oneof(
    hostileText,
    fc.json(),
    fc
      .dictionary(hostileText, fc.record({ url: hostileText, arn: hostileText }))
      .map((queues) => JSON.stringify(queues)),
    fc.constantFrom('{"__proto__":{"url":"https://x.example","arn":"arn:x"}}', `{"default":${"[".repeat(5_000)}`),
  );
  fc.assert(
    fc.property(json, (queues) => {
      try {
        const read = readStackAddress({ ...whole, PAWL_QUEUES: queues }).queues;
        for (const { url, arn } of Object.values(read))
          expect([URL.canParse(url), arn.startsWith("arn:")]).toEqual([true, true]);
        expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
      } catch (error) {
        expect((error as Error).message).toMatch(/^The environment does not name a Pawl stack: PAWL_QUEUES/);
      }
    }),
    budget(500),
  );
});
