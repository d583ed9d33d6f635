// Puts blobs without end, and prints the key of each once it has been acknowledged.
import { writeSync } from "node:fs";
import { openFileBlobs } from "../../lib/embedded/file-blobs.ts";

/** What is stored under the key: about 2 MB that no other key has. */
export function blobText(key: string): string {
  return `${key}:${"abcdefgh".repeat(250_000)}:${key}`;
}

const [folder, round] = process.argv.slice(2);
if (import.meta.main && folder !== undefined) {
  const blobs = openFileBlobs(folder);
  for (let n = 1; ; n += 1) {
    const key = `${round}-${n}`;
    await blobs.put(key, blobText(key));
    writeSync(1, `${key}\n`);
  }
}
