/** From an event of an HTTP API (payload format 2.0) to a request, and from its response to what Lambda answers. */
import type { APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import * as z from "zod";

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

/** Our answers are text. */
export async function resultOf(response: Response): Promise<APIGatewayProxyStructuredResultV2> {
  return {
    statusCode: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  };
}
