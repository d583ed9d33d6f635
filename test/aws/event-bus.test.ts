// Hunts status changes that were not published and count as if they were (R9).
import { EventBridgeClient, PutEventsCommand, type PutEventsCommandInput } from "@aws-sdk/client-eventbridge";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, describe, expect, test } from "vitest";
import { eventBatches, type Publication, publishEvents } from "../../lib/aws/event-bus.ts";
import { limits } from "../../lib/definition/limits.ts";
import type { RunStatusChange } from "../../lib/engine/lifecycle.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";

const client = new EventBridgeClient({ region: "us-east-1" });
const mock = mockClient(client);
beforeEach(() => mock.reset());

function change(n: number): RunStatusChange {
  const time = "2026-11-21T12:00:00.000Z";
  return { id: `r${n}:1`, runId: `r${n}`, workflow: "order", status: "failed", previous: "unwinding", time };
}

const changes = (count: number): RunStatusChange[] => Array.from({ length: count }, (_, n) => change(n));

async function publish(events: readonly RunStatusChange[]): Promise<Publication> {
  const clock = new VirtualClock();
  const random = { fraction: () => 0.5, id: () => "", secret: () => "" };
  const publishing = publishEvents(client, "bus", events, { clock, random });
  await clock.advance(60_000);
  return publishing;
}

/** Takes each event unless its run is refused at this try. */
function answer(refuses: (runId: string, tries: number) => boolean): void {
  const tries = new Map<string, number>();
  mock.on(PutEventsCommand).callsFake(({ Entries = [] }: PutEventsCommandInput) => ({
    Entries: Entries.map(({ Detail }) => {
      const { runId } = JSON.parse(Detail!);
      tries.set(runId, (tries.get(runId) ?? 0) + 1);
      return refuses(runId, tries.get(runId)!)
        ? { ErrorCode: "ThrottlingException", ErrorMessage: "slow down" }
        : { EventId: "e" };
    }),
  }));
}

const sent = (): string[][] =>
  mock
    .commandCalls(PutEventsCommand)
    .map(({ args: [{ input }] }) => input.Entries!.map(({ Detail }) => JSON.parse(Detail!).runId));

test("an event as data", () => {
  expect(eventBatches([change(0)], "bus")).toEqual([
    {
      Entries: [
        {
          EventBusName: "bus",
          Source: "pawl",
          DetailType: "Pawl Run Status Change",
          Time: new Date("2026-11-21T12:00:00Z"),
          Detail: JSON.stringify(change(0)),
        },
      ],
    },
  ]);
});

test("ten of the largest are one request", () => {
  const largest = {
    ...change(0),
    runId: "r".repeat(limits.derivedRunIdLength),
    workflow: "w".repeat(limits.nameLength),
  };
  const [batch] = eventBatches([{ ...largest, id: `${largest.runId}:100` }], "bus");
  expect(10 * Buffer.byteLength(JSON.stringify(batch))).toBeLessThan(256 * 1024);
});

describe("publishing", () => {
  test("goes in order, ten at a time", async () => {
    answer(() => false);
    expect(await publish(changes(23))).toEqual({ published: 23 });
    expect(sent().map(({ length }) => length)).toEqual([10, 10, 3]);
    expect(sent().flat()).toEqual(changes(23).map(({ runId }) => runId));
  });

  test("no events, no request", async () => {
    expect(await publish([])).toEqual({ published: 0 });
    expect(sent()).toEqual([]);
  });

  test("those that were not taken are sent again", async () => {
    answer((runId, tries) => runId === "r1" && tries < 3);
    expect(await publish(changes(3))).toEqual({ published: 3 });
    expect(sent()).toEqual([["r0", "r1", "r2"], ["r1"], ["r1"]]);
  });

  test("stops at the first that is never taken, and says why", async () => {
    answer((runId) => runId === "r11" || runId === "r13");
    const { published, error } = await publish(changes(25));
    expect(published).toBe(11);
    expect(error?.message).toMatch(/2 events were not taken by bus bus: ThrottlingException slow down/);
    expect(sent().flat()).not.toContain("r20");
  });

  test("an answer that leaves an event out does not count for it", async () => {
    mock.on(PutEventsCommand).resolves({ Entries: [] });
    expect(await publish(changes(2))).toMatchObject({
      published: 0,
      error: { message: expect.stringContaining("NoAnswer") },
    });
  });

  test("a request that fails altogether publishes none of its events", async () => {
    let requests = 0;
    mock.on(PutEventsCommand).callsFake(({ Entries = [] }: PutEventsCommandInput) => {
      if (++requests === 2) throw new Error("socket hang up");
      return { Entries: Entries.map(() => ({ EventId: "e" })) };
    });
    expect(await publish(changes(25))).toMatchObject({ published: 10, error: { message: "socket hang up" } });
  });
});
