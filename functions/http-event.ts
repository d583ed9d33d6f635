/** From an event of an HTTP API (payload format 2.0) to a request, and from its response to what Lambda answers. */
import type { APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import * as z from "zod";
import { ApiError, errorResponse } from "../lib/api/api-error.ts";

const HttpEvent = z.object({
  version: z.literal("2.0"),
  rawPath: z.string(),
  rawQueryString: z.string().default(""),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.string().optional(),
  isBase64Encoded: z.boolean().default(false),
  requestContext: z.object({
    domainName: z.string().default("localhost"),
    http: z.object({ method: z.string() }),
  }),
});

export type HttpEvent = z.output<typeof HttpEvent>;

/** `undefined` for what is no event of an HTTP API. */
export function parseHttpEvent(event: unknown): HttpEvent | undefined {
  return HttpEvent.safeParse(event).data;
}

export function requestOf(event: HttpEvent): Request {
  const { rawPath, rawQueryString, headers, body, isBase64Encoded, requestContext } = event;
  const { method } = requestContext.http;
  const url = new URL(`https://${requestContext.domainName}`);
  url.pathname = rawPath;
  url.search = rawQueryString;
  const hasBody = body !== undefined && method !== "GET" && method !== "HEAD";
  return new Request(url, {
    method,
    headers,
    ...(hasBody ? { body: isBase64Encoded ? Buffer.from(body, "base64") : body } : {}),
  });
}

/** Lambda answers with up to 6 MB of JSON. Beyond this, Base64 is smaller than what JSON makes of a text in the worst case. */
const plainBytes = 1024 * 1024;
const answerBytes = 4.5 * 1024 * 1024;

export async function resultOf(response: Response): Promise<APIGatewayProxyStructuredResultV2> {
  const body = Buffer.from(await response.arrayBuffer());
  const head = { statusCode: response.status, headers: Object.fromEntries(response.headers) };
  if (body.length <= plainBytes) return { ...head, body: body.toString("utf8") };
  if (body.length <= answerBytes) return { ...head, body: body.toString("base64"), isBase64Encoded: true };
  const message = `The answer has ${body.length} bytes; a function can give ${answerBytes}. Ask for inputs and outputs by themselves: GET /runs/{runId}/input, GET /runs/{runId}/steps/{stepId}/output.`;
  const refusal = errorResponse(new ApiError("payload_too_large", message));
  return { statusCode: refusal.status, headers: Object.fromEntries(refusal.headers), body: await refusal.text() };
}
