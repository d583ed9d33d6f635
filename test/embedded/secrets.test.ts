// Hunts: a secret that another process, or the next start, does not know.
import { join } from "node:path";
import { expect, test } from "vitest";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { scratchDirectory } from "./scratch-directory.ts";

const options = { clock: { now: () => 0 }, logger: createRecordingLogger() };

test("what is kept first under a name is the secret, in a file also after it was closed", async () => {
  const file = join(scratchDirectory(), "pawl.db");
  const first = openSqliteBackend({ ...options, file });
  expect(
    await Promise.all([first.secret("cursor", "a"), first.secret("cursor", "b"), first.secret("other", "c")]),
  ).toEqual(["a", "a", "c"]);
  await first.close();
  const second = openSqliteBackend({ ...options, file });
  expect(await second.secret("cursor", "d")).toBe("a");
  await second.close();
});

test("the same in memory", async () => {
  const backend = createMemoryBackend(options);
  expect(await backend.secret("cursor", "a")).toBe("a");
  expect(await backend.secret("cursor", "b")).toBe("a");
  await backend.close();
  await expect(backend.secret("cursor", "c")).rejects.toMatchObject({ code: "closed" });
});
