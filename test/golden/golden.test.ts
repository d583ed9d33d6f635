// Hunts: stored runs, messages and files of a released version that a newer one cannot go on with, and a stored shape
// that changes without its version being raised.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { parseMessage } from "../../lib/runtime/message-codec.ts";
import { parseNotice } from "../../lib/runtime/notice-codec.ts";
import { temporaryFolder } from "../behaviour/harness.ts";
import { type Dump, dump, restore } from "./dump.ts";
import { type Recorded, recordedEngine } from "./recorder.ts";
import { createStory, storyRuns, tell, tellTheEnd } from "./story.ts";
import { shapesOf } from "./written-shapes.ts";

/** What a released version left behind. It is never written again: the next version gets a folder of its own. */
interface Golden {
  readonly nowMs: number;
  readonly tokens: Record<string, string>;
  readonly file: Dump;
  readonly messages: readonly unknown[];
  readonly notices: readonly unknown[];
}

const beganAtMs = Date.UTC(2026, 0, 1);
const folder = fileURLToPath(new URL("v1/", import.meta.url));
const isWriting = process.env.PAWL_GOLDEN === "write";

function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(join(folder, name), "utf8")) as T;
}

function writeGolden(name: string, value: unknown): void {
  writeFileSync(join(folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
}

async function stop({ engine, clock }: Recorded): Promise<void> {
  const stopped = engine.stop({ graceMs: 0 });
  await clock.advance(1);
  await stopped;
}

/** The first half of the story, and the file as it was left. */
async function firstHalf(): Promise<Recorded & { readonly dataDir: string; readonly tokens: Record<string, string> }> {
  const dataDir = await temporaryFolder();
  const { tokens, workflows } = createStory(false);
  const recorded = await recordedEngine({ workflows }, dataDir, beganAtMs);
  await tell(
    recorded.engine,
    () => recorded.clock.now(),
    (ms) => recorded.clock.advance(ms),
  );
  await stop(recorded);
  return { ...recorded, dataDir, tokens };
}

const ends = {
  ...Object.fromEntries(storyRuns.map((runId) => [runId, "succeeded"])),
  gone: "cancelled",
  "orphans-1": "cancelled",
  "orphans-1~child": "cancelled",
  "retries-1": "failed",
  "unwinding-1": "failed",
};

test("a file of version 1, with open runs of every kind: each goes on to its end", async () => {
  const { nowMs, tokens, file } = readGolden<Golden>("left-behind.json");
  const dataDir = await temporaryFolder();
  restore(join(dataDir, "pawl.db"), file);
  const recorded = await recordedEngine(createStory(true), dataDir, nowMs);
  onTestFinished(() => stop(recorded));
  const { engine, clock, logs } = recorded;
  expect(await tellTheEnd(engine, tokens, (ms) => clock.advance(ms))).toEqual(ends);
  expect(await engine.deadLetters(10)).toEqual([]);
  expect(logs.filter(({ message }) => message.includes("cannot be read"))).toEqual([]);
}, 30_000);

test("messages and notices of version 1 are understood", () => {
  const { messages, notices } = readGolden<Golden>("left-behind.json");
  for (const message of messages) expect(parseMessage(message)).toEqual({ ok: true, message });
  for (const notice of notices) expect(parseNotice(notice)).toEqual(notice);
  expect(new Set(messages.map((message) => (message as { kind: string }).kind))).toEqual(
    new Set(["step", "undo", "nudge", "deadline", "slot", "childEnded", "endChild"]),
  );
});

const whatToDo = `What Pawl stores or sends has another shape than the checked-in one (test/golden/v1/shapes.json).
Other versions of Pawl read it, too: older functions run beside newer ones during a deployment, and a rollback brings them back.
- A new place that older versions may ignore: keep the version. Say so in docs/compatibility.md, then run
  PAWL_GOLDEN=write vitest run test/golden
- Anything else (a place that is gone, has another type, or must not be ignored): raise the version of the shape (the table
  in docs/compatibility.md says where it is), keep reading the former one, and give test/golden a folder for the new one.`;

test("what is written today has the shape of version 1", async () => {
  const recorded = await firstHalf();
  const shapes = shapesOf(recorded.written, dump(join(recorded.dataDir, "pawl.db"))).toJSON();
  if (isWriting) writeGolden("shapes.json", shapes);
  expect(shapes, whatToDo).toEqual(readGolden("shapes.json"));
}, 30_000);

test.runIf(isWriting && process.env.PAWL_GOLDEN_NEW === "1")(
  "leaves a file behind for versions to come",
  async () => {
    const { dataDir, tokens, clock, written } = await firstHalf();
    const kinds = Map.groupBy(written.messages, ({ kind }) => kind);
    writeGolden("left-behind.json", {
      nowMs: clock.now(),
      tokens,
      file: dump(join(dataDir, "pawl.db")),
      messages: [...kinds.values()].flatMap((all) => all.slice(0, 3)),
      notices: [
        { v: 1, runId: "waits-1", status: "succeeded", epoch: 0 },
        { v: 1, runId: "waits-1", status: "paused", epoch: 1, parked: true },
      ],
    } satisfies Golden);
  },
  30_000,
);
