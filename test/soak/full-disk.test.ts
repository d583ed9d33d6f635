// Hunts, on a real disk that is full: a request that hangs or is answered as if nothing had happened, an acknowledged run
// that is lost or stuck, a server that dies, spins, or does not say why it does not start.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { freePort } from "../wire/emulator.ts";
import { Api } from "./api.ts";
import { ServerUnderFire } from "./server-under-fire.ts";

const folder = mkdtempSync(join(tmpdir(), "pawl-full-disk-"));
const disk = join(folder, "disk");
mkdirSync(disk);
const filler = join(disk, "filler");
const file = join(disk, "data", "pawl.db");
const over = new AbortController();
const surprises: string[] = [];

/** A file system of its own is needed, and only root may mount one; a container may forbid it even then. */
const mayMount = ((): boolean => {
  try {
    execFileSync("/bin/mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

afterAll(() => {
  over.abort();
  if (mayMount) execFileSync("/bin/umount", ["--lazy", disk]);
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  rmSync(filler, { force: true });
  rmSync(join(disk, "data"), { recursive: true, force: true });
  surprises.length = 0;
});

/** Takes all that is left, to the last byte. */
function fillDisk(): void {
  for (let bytes = 1024 * 1024; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeFileSync(filler, Buffer.alloc(bytes), { flag: "a" });
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOSPC" });
    }
  }
}

interface Served {
  readonly server: ServerUnderFire;
  readonly api: Api;
}

async function serve(): Promise<Served> {
  const port = await freePort();
  const server = new ServerUnderFire({
    file: fileURLToPath(new URL("workflows.ts", import.meta.url)),
    port,
    dataDir: join(disk, "data"),
    env: { PAWL_SOAK_FOLDER: folder },
  });
  onTestFinished(() => server.kill());
  await server.ready;
  return { server, api: new Api(`http://127.0.0.1:${port}`, (what) => surprises.push(what), over.signal) };
}

/** The fourth branch of the tenth run is a blob. */
const inputs = Array.from({ length: 12 }, (_, index) => index);

async function startAll(api: Api): Promise<void> {
  for (const input of inputs) {
    const answer = await api.ask("POST", "/workflows/fan/runs", { runId: `fan-${input}`, input });
    expect(answer).toMatchObject({ status: 202 });
  }
}

async function expectAllEnded(api: Api): Promise<void> {
  for (const input of inputs) {
    let view: RunView | undefined;
    do view = await api.show(`fan-${input}`, "25s");
    while (view?.status === "running");
    expect(view).toMatchObject({ status: "succeeded", output: { value: 4 * input + 10 } });
  }
}

async function expectRefusal(api: Api, runId: string): Promise<void> {
  const answer = await api.ask("POST", "/workflows/chain/runs", { runId, input: 1 });
  expect(answer?.status).toBe(503);
  const { error } = answer?.body as { readonly error: { readonly code: string; readonly message: string } };
  expect(error).toMatchObject({ code: "storage_failed", details: { reason: "disk_full" } });
  expect(error.message).toContain(file);
  expect(error.message).toContain("Free some space");
}

/** Of one processor, over two seconds. */
async function busy({ pid }: ServerUnderFire): Promise<number> {
  const ticks = (): number => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
    return Number(fields[11]) + Number(fields[12]);
  };
  const before = ticks();
  await sleep(2_000);
  // A tick is a hundredth of a second.
  return (ticks() - before) / 200;
}

describe.skipIf(!mayMount || !existsSync("/proc/self/stat"))("a disk of 16 MB (needs root, and leave to mount)", () => {
  test("fills up under load: requests are refused with the file and the remedy; with room again all runs end", {
    timeout: 110_000,
  }, async () => {
    const { server, api } = await serve();
    await startAll(api);
    fillDisk();
    // What SQLite has set aside for its log may still take a few.
    let taken = 0;
    while ((await api.ask("POST", "/workflows/chain/runs", { runId: `chain-${taken}`, input: 1 }))?.status === 202)
      taken++;
    await expectRefusal(api, "refused-1");
    expect(await busy(server)).toBeLessThan(0.5);
    expect(await api.ask("GET", "/healthz")).toMatchObject({ status: 200 });
    await expectRefusal(api, "refused-2");
    expect(server.hasEnded).toBe(false);

    rmSync(filler);
    await expectAllEnded(api);
    for (let n = 0; n < taken; n++) expect(await api.show(`chain-${n}`, "25s")).toMatchObject({ status: "succeeded" });
    expect(await api.show("refused-1")).toBeUndefined();
    expect(surprises).toEqual([]);
  });

  test("killed on a full disk, it says at the next start what is wrong; with room again all runs end", {
    timeout: 110_000,
  }, async () => {
    const first = await serve();
    await startAll(first.api);
    fillDisk();
    await first.server.kill();
    const second = await serve();
    if (await second.server.ready) {
      // What the log has set aside was enough for a start.
      await second.server.kill();
    } else {
      expect(second.server.said).toMatch(/^pawl: .*pawl\.db is full .* Free some space/m);
    }
    rmSync(filler);
    await expectAllEnded((await serve()).api);
  });

  test("a folder that its user may not write: it says so at the start", async () => {
    chmodSync(folder, 0o755);
    mkdirSync(join(disk, "data"), { mode: 0o755 });
    const server = new ServerUnderFire({
      file: fileURLToPath(new URL("workflows.ts", import.meta.url)),
      port: await freePort(),
      dataDir: join(disk, "data"),
      env: { PAWL_SOAK_FOLDER: folder },
      uid: 65_534,
    });
    onTestFinished(() => server.kill());
    expect(await server.ready).toBe(false);
    expect(server.said).toMatch(/^pawl: .*data\/pawl\.log cannot be opened: EACCES.*--data-dir\.$/m);
  });
});
