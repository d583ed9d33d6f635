// Hunts: a write that is acknowledged although its file has been removed or replaced, and is gone with the process.
import { copyFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import type { EmbeddedBackend } from "../../lib/embedded/backend.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { outgoing } from "./outgoing.ts";
import { scratchDirectory } from "./scratch-directory.ts";

const open = (file: string): EmbeddedBackend =>
  openSqliteBackend({ file, clock: createManualClock(), logger: createRecordingLogger() });

const harms: readonly (readonly [what: string, harm: (file: string) => void])[] = [
  ["the file is removed", (file) => rmSync(file)],
  ["its folder is removed", (file) => rmSync(dirname(file), { recursive: true })],
  ["its folder has another name", (file) => renameSync(dirname(file), `${dirname(file)}-moved`)],
  ["its write-ahead log is removed", (file) => rmSync(`${file}-wal`)],
  [
    "another file takes its place",
    (file) => {
      copyFileSync(file, `${file}-copy`);
      renameSync(`${file}-copy`, file);
    },
  ],
];

test.each(harms)("%s: every write is refused, with the file and the remedy, and reads go on", async (_what, harm) => {
  const file = join(scratchDirectory(), "data", "pawl.db");
  const backend = open(file);
  await backend.update("a", { guard: [], set: { n: 1 } });
  harm(file);
  for (const write of [
    () => backend.update("a", { guard: [], set: { n: 2 } }),
    () => backend.putPayload("a", "in", "1"),
    () => backend.send([outgoing("a")]),
  ]) {
    await expect(write()).rejects.toMatchObject({ name: "StorageError", code: "file_unusable" });
    await expect(write()).rejects.toThrow(new RegExp(`${file}.* while it is in use.* Stop this process`));
  }
  expect(await backend.get("a")).toEqual({ n: 1 });
  await backend.close();
});

test("a file that is put back is written again", async () => {
  const file = join(scratchDirectory(), "pawl.db");
  const backend = open(file);
  await backend.update("a", { guard: [], set: { n: 1 } });
  renameSync(file, `${file}-away`);
  await expect(backend.update("a", { guard: [], set: { n: 2 } })).rejects.toMatchObject({ code: "file_unusable" });
  renameSync(`${file}-away`, file);
  expect(await backend.update("a", { guard: [], set: { n: 3 } })).toMatchObject({ applied: true });
  await backend.close();
  const again = open(file);
  expect(await again.get("a")).toEqual({ n: 3 });
  await again.close();
});
