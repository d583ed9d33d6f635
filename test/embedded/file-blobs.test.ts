// Hunts a blob file that is half written, lost by kill -9, or outside of its folder.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { openFileBlobs } from "../../lib/embedded/file-blobs.ts";
import { blobText } from "./blobs-until-killed.child.ts";
import { scratchDirectory } from "./scratch-directory.ts";

test("blobs survive closing and opening; the folder holds them and nothing else is touched", async () => {
  const folder = join(scratchDirectory(), "data", "blobs");
  await openFileBlobs(folder).put("../../run/../hash", "[1]");
  expect(await openFileBlobs(folder).get("../../run/../hash")).toBe("[1]");
  expect(readdirSync(folder)).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), "unfinished"]);
  expect(readdirSync(join(folder, "..", ".."))).toEqual(["data"]);
});

test("what a process that died was writing is gone at the next opening", async () => {
  const folder = join(scratchDirectory(), "blobs");
  mkdirSync(join(folder, "unfinished"), { recursive: true });
  writeFileSync(join(folder, "unfinished", "0"), "half");
  const blobs = openFileBlobs(folder);
  expect(readdirSync(join(folder, "unfinished"))).toEqual([]);
  await blobs.put("a", "whole");
  expect(await blobs.get("a")).toBe("whole");
});

test("whoever reads a blob while it is written again reads a whole one", async () => {
  const folder = join(scratchDirectory(), "blobs");
  const blobs = openFileBlobs(folder);
  await blobs.put("a", "before");
  const [file = ""] = filesIn(folder);
  const reading = openSync(file, "r");
  await blobs.put("a", "after");
  expect(readFileSync(reading, "utf8")).toBe("before");
  closeSync(reading);
  expect(await blobs.get("a")).toBe("after");
});

test("a path that is no folder is an error that names it", () => {
  const file = join(scratchDirectory(), "blobs");
  writeFileSync(file, "");
  expect(() => openFileBlobs(file)).toThrow(`The folder of large payloads, ${file}, cannot be read or written`);
});

test("kill -9 loses no acknowledged blob and shows no half of one, three times in a row", {
  timeout: 60_000,
}, async () => {
  const folder = join(scratchDirectory(), "blobs");
  const acknowledged = new Set<string>();
  for (let round = 1; round <= 3; round += 1) {
    for (const key of await writeAndKill(folder, String(round))) acknowledged.add(key);
    const blobs = openFileBlobs(folder);
    const changed: string[] = [];
    for (const key of acknowledged) if ((await blobs.get(key)) !== blobText(key)) changed.push(key);
    expect(changed).toEqual([]);
    // Whatever else is there is whole, too.
    for (const file of filesIn(folder)) {
      const text = readFileSync(file, "utf8");
      expect(text === blobText(text.slice(0, text.indexOf(":")))).toBe(true);
    }
  }
  expect(acknowledged.size).toBeGreaterThan(20);
});

test("a run's blobs go with its folder, and those of former versions are still found", async () => {
  const folder = join(scratchDirectory(), "blobs");
  const blobs = openFileBlobs(folder);
  await blobs.put("run-1/a", "one");
  await blobs.put("run-1/b", "two");
  await blobs.put("run-2/a", "three");
  await blobs.removeAll("run-1");
  expect(filesIn(folder).map((file) => readFileSync(file, "utf8"))).toEqual(["three"]);
  expect(readdirSync(folder).sort()).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), "unfinished"]);
  writeFileSync(join(folder, createHash("sha256").update("run-3/a").digest("hex")), "former");
  expect(await blobs.get("run-3/a")).toBe("former");
});

/** All but what is being written. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.endsWith("unfinished"))
    .map(({ parentPath, name }) => join(parentPath, name));
}

/** Lets a process write blobs and kills it in the middle; the keys that it was told are safe. */
async function writeAndKill(folder: string, round: string): Promise<string[]> {
  const script = new URL("blobs-until-killed.child.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, folder, round], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    if (said.split("\n").length > 10) child.kill("SIGKILL");
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  expect([code, signal]).toEqual([null, "SIGKILL"]);
  return said.split("\n").slice(0, -1);
}
