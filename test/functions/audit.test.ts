// Hunts audits that never get to some runs, report nothing, or are cut off by the end of their function.
import type { Context } from "aws-lambda";
import { beforeEach, expect, test } from "vitest";
import { auditHandler } from "../../functions/audit.ts";
import type { Counts } from "../../functions/metrics.ts";
import type { AuditRequest } from "../../lib/runtime/audit.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";

const pageMs = 10_000;
let nowMs = 0;
let counted: Counts[];
let asked: (string | undefined)[];
let logger: ReturnType<typeof createRecordingLogger>;

beforeEach(() => {
  nowMs = 0;
  counted = [];
  asked = [];
  logger = createRecordingLogger();
});

/** So many pages of two runs each, one of them stuck; each takes its time. */
function handlerFor(pages: number): (timeoutMs: number) => Promise<unknown> {
  const handle = auditHandler(() => ({
    audit: async ({ cursor }: AuditRequest = {}) => {
      asked.push(cursor);
      nowMs += pageMs;
      const page = Number(cursor ?? 0) + 1;
      return { seen: 2, stuck: 1, cursor: page === pages ? undefined : String(page) };
    },
    removeOrphans: async () => 0,
    clock: { now: () => nowMs, after: () => () => undefined },
    logger: { ...logger, begin: () => undefined },
    metrics: { count: (counts) => void counted.push(counts) },
  }));
  return (timeoutMs) => {
    const endsAtMs = nowMs + timeoutMs;
    return handle({}, { awsRequestId: "r", getRemainingTimeInMillis: () => endsAtMs - nowMs } as Context);
  };
}

test("looks at all pages, and tells how many runs are open and stuck", async () => {
  expect(await handlerFor(3)(300_000)).toEqual({ seen: 6, stuck: 3 });
  expect(asked).toEqual([undefined, "1", "2"]);
  expect(counted).toEqual([{ OpenRuns: 6, StuckRuns: 3 }]);
  expect(logger.lines).toEqual([]);
});

test("stops before its function is ended, and the next one goes on from there", async () => {
  const audit = handlerFor(5);
  expect(await audit(60_000)).toEqual({ seen: 8, stuck: 4 });
  expect(nowMs).toBeLessThan(60_000);
  expect(logger.lines).toMatchObject([{ level: "warn", fields: { seen: 8 } }]);
  await audit(60_000);
  expect(asked).toEqual([undefined, "1", "2", "3", "4"]);
  await audit(300_000);
  expect(asked.slice(5)).toEqual([undefined, "1", "2", "3", "4"]);
});
