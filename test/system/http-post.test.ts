// Hunts: an answer that is read without end, a redirect that is followed, and a request that is not what was signed.

import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { httpPost } from "../../lib/system/http-post.ts";

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const request = { headers: { "webhook-id": "hook-1" }, body: '{"größe":"…"}' };
const patient = (): AbortSignal => new AbortController().signal;

test("posts exactly the body and the headers, and tells status and retry-after", async () => {
  let seen: { readonly method?: string; readonly id: unknown; readonly body: string } | undefined;
  const textOf = async (from: IncomingMessage): Promise<string> => Buffer.concat(await from.toArray()).toString();
  const url = await serve((incoming, outgoing) => {
    void textOf(incoming).then((body) => {
      seen = { method: incoming.method!, id: incoming.headers["webhook-id"], body };
      outgoing.writeHead(429, { "retry-after": "7" }).end("come again");
    });
  });
  expect(await httpPost({ url, ...request, signal: patient() })).toEqual({ status: 429, retryAfter: "7" });
  expect(seen).toEqual({ method: "POST", id: "hook-1", body: request.body });
});

test("follows no redirect", async () => {
  const paths: (string | undefined)[] = [];
  const url = await serve((incoming, outgoing) => {
    paths.push(incoming.url);
    outgoing.writeHead(302, { location: "/elsewhere" }).end();
  });
  expect(await httpPost({ url, ...request, signal: patient() })).toEqual({ status: 302 });
  expect(paths).toEqual(["/"]);
});

test("reads nothing of an answer that has no end", async () => {
  let sent = 0;
  const closed = Promise.withResolvers<undefined>();
  const url = await serve((_incoming, outgoing) => {
    const endless = new Readable({
      read() {
        sent += 65_536;
        this.push(Buffer.alloc(65_536));
      },
    });
    outgoing.on("close", () => closed.resolve(undefined));
    endless.pipe(outgoing);
  });
  expect(await httpPost({ url, ...request, signal: patient() })).toEqual({ status: 200 });
  await closed.promise;
  expect(sent).toBeLessThan(50_000_000);
});

test("ends when it is aborted, and rejects when nobody answers", async () => {
  const controller = new AbortController();
  const url = await serve(() => controller.abort(new Error("too late")));
  await expect(httpPost({ url, ...request, signal: controller.signal })).rejects.toThrow("too late");
  await expect(httpPost({ url: "http://127.0.0.1:1", ...request, signal: patient() })).rejects.toThrow();
});
