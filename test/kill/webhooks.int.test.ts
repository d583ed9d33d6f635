// Hunts: a status change that no webhook is told of because the server is killed between the write and the telling.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Webhook } from "standardwebhooks";
import { expect, onTestFinished, test } from "vitest";
import type { WebhookBody } from "../../lib/index.ts";

const runs = 150;
/** After so many deliveries in one life. */
const kills = [1, 2, 20, 60, 5];
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const server = fileURLToPath(new URL("webhooks-server.ts", import.meta.url));

test(`each change of ${runs} runs is told, under one id, though the server is killed ${kills.length} times`, async () => {
  const folder = await mkdtemp(join(tmpdir(), "pawl-webhooks-"));
  /** Ids of deliveries, by event. */
  const told = new Map<string, Set<string>>();
  let heard = (): void => undefined;
  const receiver = createServer((incoming, outgoing) => {
    void incoming.toArray().then((chunks) => {
      const headers = incoming.headers as Record<string, string>;
      const { data } = new Webhook(secret).verify(Buffer.concat(chunks).toString(), headers) as WebhookBody;
      told.set(data.id, (told.get(data.id) ?? new Set()).add(headers["webhook-id"]!));
      outgoing.end();
      heard();
    });
  });
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  onTestFinished(async () => {
    receiver.closeAllConnections();
    receiver.close();
    await rm(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const events = Array.from({ length: runs }, (_, index) => [`run-${index}:1`, `run-${index}:2`]).flat();

  const serveUntil = async (isOver: (deliveries: number) => boolean): Promise<void> => {
    const child = spawn(process.execPath, [server, folder, url, secret, String(runs)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    let deliveries = 0;
    const look = (): void => {
      if (isOver(deliveries)) child.kill("SIGKILL");
    };
    heard = () => {
      deliveries++;
      look();
    };
    child.stdout.once("data", look);
    expect((await exited)[1]).toBe("SIGKILL");
  };
  for (const wanted of kills) await serveUntil((deliveries) => deliveries >= wanted);
  await serveUntil(() => told.size === events.length);
  expect([...told.keys()].toSorted()).toEqual(events.toSorted());
  for (const [event, ids] of told) expect(ids.size, event).toBe(1);
}, 110_000);
