/**
 * `npm run test:soak -- --kills 1000`: kills the local server so many times while it works, and says in one line of JSON
 * what that has lost, doubled or left stuck. It exits with 0 when that is nothing. See `verdict.ts` for these words.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { soak } from "./soak.ts";

const { values } = parseArgs({ options: { kills: { type: "string", default: "60" } } });
const kills = Number(values.kills);
if (!Number.isSafeInteger(kills) || kills < 1) {
  process.stderr.write(`--kills is ${JSON.stringify(values.kills)}; allowed is a whole number from 1, such as 1000.\n`);
  process.exit(2);
}
// Ctrl-C ends the server, too: it has a process group of its own.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

const folder = await mkdtemp(join(tmpdir(), "pawl-soak-"));
const startedAtMs = Date.now();
const { verdict, ...sums } = await soak({ kills, folder, report: (line) => process.stderr.write(`${line}\n`) });
const seconds = Math.round((Date.now() - startedAtMs) / 1000);
const { lost, doubled, stuck, wrong } = verdict;
const found = [...lost, ...doubled, ...stuck, ...wrong];
if (found.length === 0) await rm(folder, { recursive: true, force: true });
else {
  for (const [what, lines] of Object.entries(verdict)) {
    for (const line of (lines as readonly string[]).slice(0, 20)) process.stderr.write(`${what}: ${line}\n`);
  }
  process.stderr.write(`Data, log and journal are kept in ${folder}\n`);
}
process.stdout.write(
  `${JSON.stringify({
    ...sums,
    lost: lost.length,
    doubled: doubled.length,
    stuck: stuck.length,
    wrong: wrong.length,
    seconds,
  })}\n`,
);
process.exitCode = found.length === 0 ? 0 : 1;
