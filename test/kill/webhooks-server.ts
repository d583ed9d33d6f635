// A server to be killed: asks for so many runs (again, after each restart), works on them, and tells a webhook of each change.
import { createEngine } from "../../lib/embedded/engine.ts";
import { mended } from "./bulk-workflow.ts";

const [dataDir, url, secret, runs] = process.argv.slice(2);
if (dataDir === undefined || url === undefined || secret === undefined) {
  throw new Error("usage: webhooks-server.ts <data-dir> <url> <secret> <runs>");
}

const ignore = (): void => undefined;
const quiet = { debug: ignore, info: ignore, warn: ignore, error: console.error };
const webhooks = [{ name: "receiver", url, secret }];
const engine = await createEngine({ workflows: [mended], dataDir, webhooks, logger: quiet });
const ids = Array.from({ length: Number(runs) }, (_, index) => `run-${index}`);
await Promise.all(
  ids.map(async (runId) => {
    await engine.start(mended, { runId });
    await engine.waitForEnd(runId);
  }),
);
process.stdout.write("done\n");
// Until it is stopped by a signal, it delivers.
setInterval(() => undefined, 60_000);
