/** The body of a request: bounded, UTF-8, JSON, and checked by a schema. Each refusal says where and why. */
import type { z } from "@hono/zod-openapi";
import type { HonoRequest } from "hono";
import { ApiError } from "./api-error.ts";
import { findJsonFault } from "./json-fault.ts";
import { parseWith } from "./refusal.ts";
import { bodyBytes } from "./schemas.ts";

/** No body counts as `{}`. @throws {ApiError} unsupported_content_type, payload_too_large, malformed_json, invalid_request */
export async function readJsonBody<Schema extends z.ZodObject>(
  request: HonoRequest,
  schema: Schema,
): Promise<z.output<Schema>> {
  const body = await readJson(request);
  return parseWith(schema, body === undefined ? {} : body, "The body");
}

/** `undefined` for no body. @throws {ApiError} unsupported_content_type, payload_too_large, malformed_json */
export async function readJson(request: HonoRequest): Promise<unknown> {
  const bytes = await readBytes(request);
  if (bytes.length === 0) return undefined;
  assertJsonContentType(request.header("content-type"));
  return parseJson(decodeUtf8(bytes));
}

async function readBytes(request: HonoRequest): Promise<Uint8Array> {
  const announced = Number(request.header("content-length") ?? 0);
  if (announced > bodyBytes) throw tooLarge(`${announced} bytes`);
  if (request.raw.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  // A body without an announced length is cut off where it becomes too long.
  for await (const chunk of request.raw.body as ReadableStream<Uint8Array>) {
    length += chunk.length;
    if (length > bodyBytes) throw tooLarge(`more than ${bodyBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(seen: string): ApiError {
  const remedy = "Store large data elsewhere and pass a reference.";
  const message = `The body has ${seen}; at most ${bodyBytes} are allowed. ${remedy}`;
  return new ApiError("payload_too_large", message, { details: { maxBytes: bodyBytes } });
}

function assertJsonContentType(contentType: string | undefined): void {
  const [type = "", ...parameters] = (contentType ?? "").toLowerCase().split(";");
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith("charset="));
  const isJson = /^application\/([\w.-]+\+)?json$/.test(type.trim());
  if (isJson && (charset === undefined || /^charset="?utf-?8"?$/.test(charset))) return;
  const seen = contentType === undefined ? "missing" : JSON.stringify(contentType.slice(0, 200));
  const message = `The content type is ${seen}; allowed is JSON in UTF-8. Send the header "Content-Type: application/json".`;
  throw new ApiError("unsupported_content_type", message);
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError("malformed_json", "The body is not UTF-8 text. Send JSON encoded in UTF-8.");
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const { position, line, column, found } = findJsonFault(text);
    const message = `The body is not JSON: ${found} at line ${line}, column ${column} (position ${position}).`;
    throw new ApiError("malformed_json", message, { details: { position, line, column } });
  }
}
