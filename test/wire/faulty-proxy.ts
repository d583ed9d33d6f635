// Stands between the SDK and AWS, and lets requests fail as they do in the real world: refused, throttled, or answered into nothing.
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Fault = "none" | "throttled" | "unavailable" | "answerLost";

export interface FaultyProxy {
  readonly endpoint: string;
  /** Requests that were let through, by what became of them. */
  readonly counts: Readonly<Record<Fault, number>>;
  close(): Promise<void>;
}

/**
 * @param pick what happens to the next request, `UpdateItem` for example. One request of a caller is hit so often at most that the SDK's last try
 * gets through: what comes after that is tested where time is virtual.
 */
export async function startFaultyProxy(target: string, pick: (operation: string) => Fault): Promise<FaultyProxy> {
  const counts = { none: 0, throttled: 0, unavailable: 0, answerLost: 0 };
  const hits = new Map<string, number>();
  const mostHits = 2;

  const server = createServer((incoming, answer) => {
    const id = String(incoming.headers["amz-sdk-invocation-id"]);
    const before = hits.get(id) ?? 0;
    const operation = String(incoming.headers["x-amz-target"]).split(".").at(-1) ?? "";
    const fault = before < mostHits ? pick(operation) : "none";
    if (fault !== "none") hits.set(id, before + 1);
    counts[fault]++;
    switch (fault) {
      case "throttled":
        incoming.resume();
        refuse(answer, 400, "ThrottlingException");
        return;
      case "unavailable":
        incoming.resume();
        refuse(answer, 503, "ServiceUnavailable");
        return;
      case "answerLost":
      case "none":
        forward(target, incoming, answer, fault === "answerLost");
        return;
    }
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://localhost:${(server.address() as AddressInfo).port}`,
    counts,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refuse(answer: ServerResponse, status: number, code: string): void {
  answer.writeHead(status, { "content-type": "application/x-amz-json-1.0", "x-amzn-errortype": code });
  answer.end(JSON.stringify({ __type: code, message: "a fault of the test" }));
}

function forward(target: string, incoming: IncomingMessage, answer: ServerResponse, isLost: boolean): void {
  const outgoing = request(
    new URL(incoming.url ?? "/", target),
    { method: incoming.method, headers: incoming.headers },
    (from) => {
      if (isLost) {
        // The service has done it, and nobody hears of that.
        from.resume();
        from.on("end", () => answer.destroy());
        return;
      }
      answer.writeHead(from.statusCode ?? 500, from.headers);
      from.pipe(answer);
    },
  );
  outgoing.on("error", () => answer.destroy());
  incoming.pipe(outgoing);
}
