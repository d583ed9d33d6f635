/** Answers to what Node cannot read as HTTP, in the shape of all errors: no request comes of it that the API could answer. */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { ApiError, answerHeaders, errorBody, statusOf } from "../api/api-error.ts";

/** @param isAnswering whether the connection has a request under way, whose answer must not be mixed with another */
export function answerUnreadable(server: Server, isAnswering: (socket: Socket) => boolean): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (socket.writable && error.code !== "ECONNRESET" && !isAnswering(socket)) socket.end(rawAnswer(error));
    else socket.destroy();
  });
}

/** As it travels. */
export function rawAnswer({ code }: NodeJS.ErrnoException): string {
  const error = explain(code);
  const body = JSON.stringify(errorBody(error));
  const headers = {
    "Content-Type": "application/json",
    "Content-Length": String(Buffer.byteLength(body)),
    ...answerHeaders,
    Connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${statusOf[error.code]} ${error.code}`, ...lines, "", body].join("\r\n");
}

function explain(code: string | undefined): ApiError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new ApiError("headers_too_large", "The header fields have more than 16 KB. Send fewer, or shorter ones.");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return new ApiError("payload_too_large", "The chunks of the body have extensions of more than 16 KB.");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new ApiError("request_timeout", "The request did not come as a whole in time. Send it again.");
    case undefined:
    default:
      return new ApiError("invalid_request", "The request is not valid HTTP for this server.");
  }
}
