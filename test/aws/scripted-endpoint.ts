// An endpoint on this machine that answers as it is told, request by request, and keeps what it was asked.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished, vi } from "vitest";

export type Answer =
  /** As JSON, with status 200. */
  | { readonly ok: unknown }
  /** As DynamoDB says what went wrong. */
  | { readonly error: string; readonly status: number; readonly with?: Readonly<Record<string, unknown>> }
  /** As S3 does. */
  | { readonly status: number; readonly xml: string }
  /** The connection ends without an answer. */
  | "reset"
  /** Nothing ever comes. */
  | "silence"
  /** Nothing comes but signs of life. */
  | "processing";

export interface Asked {
  /** Name of the operation, of protocols that have one. */
  readonly operation: string | undefined;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
}

/** Points the SDK there, for this test. After its last answer it repeats that one. */
export async function scriptedEndpoint(...answers: readonly Answer[]): Promise<readonly Asked[]> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const operation = request.headers["x-amz-target"];
      asked.push({
        operation: typeof operation === "string" ? operation.split(".").at(-1) : undefined,
        method: request.method,
        path: request.url,
        headers: request.headers,
        body: text.startsWith("{") ? JSON.parse(text) : text,
      });
      respond(response, answers[Math.min(asked.length, answers.length) - 1]);
    });
  });
  await new Promise<void>((listening) => {
    server.listen(0, "127.0.0.1", listening);
  });
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  vi.stubEnv("AWS_ENDPOINT_URL", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  vi.stubEnv("AWS_REGION", "us-east-1");
  vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
  return asked;
}

function respond(response: ServerResponse, answer: Answer | undefined): void {
  if (answer === undefined || answer === "silence") return;
  if (answer === "processing") {
    const timer = setInterval(() => {
      response.writeProcessing();
    }, 200);
    response.on("close", () => {
      clearInterval(timer);
    });
    return;
  }
  if (answer === "reset") {
    response.socket?.destroy();
    return;
  }
  if ("xml" in answer) {
    response.writeHead(answer.status, { "content-type": "application/xml" }).end(answer.xml);
    return;
  }
  const type = { "content-type": "application/x-amz-json-1.0" };
  if ("ok" in answer) {
    response.writeHead(200, type).end(JSON.stringify(answer.ok));
    return;
  }
  const name = `com.amazonaws.dynamodb.v20120810#${answer.error}`;
  response.writeHead(answer.status, type).end(JSON.stringify({ __type: name, message: answer.error, ...answer.with }));
}
