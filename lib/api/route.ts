/**
 * A route: what it takes and answers, as zod schemas, said once. Requests are checked by them, answers are typed by them,
 * and the OpenAPI document is made of them, so the document cannot tell anything else than what happens.
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { HonoRequest } from "hono";
import { type ApiErrorCode, statusOf } from "./api-error.ts";
import { readJson, readJsonBody } from "./json-body.ts";
import { readQuery } from "./query.ts";
import { parseWith } from "./refusal.ts";
import { ErrorAnswer } from "./schemas.ts";

export interface Route {
  readonly method: "get" | "post" | "delete";
  /** As OpenAPI writes it: `/runs/{runId}`. */
  readonly path: string;
  /** Unique; what generated clients call it. */
  readonly operationId: string;
  readonly summary: string;
  readonly tag: "Runs" | "Finding" | "Bulk operations" | "Callbacks" | "Workflows" | "About";
  readonly params?: z.ZodObject;
  /** Parameters that are not in it are refused. */
  readonly query?: z.ZodObject;
  /** JSON. None counts as `{}` of an object, and as no payload otherwise. */
  readonly body?: { readonly schema: z.ZodType; readonly required: boolean; readonly description: string };
  readonly answers: Readonly<Record<number, Answered>>;
  /** Beside those that every route has, and that every body has. */
  readonly errors: readonly ApiErrorCode[];
}

interface Answered<Schema extends z.ZodType = z.ZodType> {
  readonly schema: Schema;
  readonly description: string;
}

export function answer<Schema extends z.ZodType>(schema: Schema, description: string): Answered<Schema> {
  return { schema, description };
}

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : Nothing;
type Nothing = Readonly<Record<string, never>>;

/** A request of this route, checked. */
export interface Asked<R extends Route> {
  readonly params: Parsed<R["params"]>;
  readonly query: Parsed<R["query"]>;
  readonly body: R["body"] extends { readonly schema: infer Schema } ? Parsed<Schema> : undefined;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
}

/** One of the answers that the route describes. */
export type Answer<R extends Route> = {
  [Status in keyof R["answers"] & number]: {
    readonly status: Status;
    readonly body: z.output<R["answers"][Status]["schema"]>;
    readonly headers?: Readonly<Record<string, string>>;
  };
}[keyof R["answers"] & number];

/** In two calls, so that the compiler knows the route when it looks at what serves it: `serve(app, route)(async (asked) => …)`. */
export function serve<const R extends Route>(app: OpenAPIHono, route: R): (handle: Handle<R>) => void {
  return (handle) => {
    const described = describe(route);
    app.openAPIRegistry.registerPath(described);
    app.on(route.method, described.getRoutingPath(), async (c) => {
      const { status, body, headers = {} } = await handle(await readRequest(c.req, route));
      return Response.json(body, { status, headers });
    });
  };
}

type Handle<R extends Route> = (asked: Asked<R>) => Answer<R> | Promise<Answer<R>>;

async function readRequest<R extends Route>(request: HonoRequest, { params, query, body }: R): Promise<Asked<R>> {
  return {
    params: params === undefined ? {} : parseWith(params, request.param(), "The path"),
    query: readQuery(request.url, query),
    body: body === undefined ? undefined : await readBody(request, body.schema),
    signal: request.raw.signal,
  } as Asked<R>;
}

function readBody(request: HonoRequest, schema: z.ZodType): Promise<unknown> {
  return schema instanceof z.ZodObject ? readJsonBody(request, schema) : readJson(request);
}

const ofEveryRoute: readonly ApiErrorCode[] = [
  "invalid_request",
  "forbidden_origin",
  "url_too_long",
  "internal_error",
  "unavailable",
  "storage_failed",
];
const ofEveryBody: readonly ApiErrorCode[] = ["malformed_json", "payload_too_large", "unsupported_content_type"];

/** The codes that the route may answer, each once. */
function errorsOf({ errors, body }: Route): readonly ApiErrorCode[] {
  return [...new Set([...errors, ...(body === undefined ? [] : ofEveryBody), ...ofEveryRoute])];
}

function describe(route: Route): ReturnType<typeof createRoute> {
  const { method, path, operationId, summary, tag, params, query, body, answers } = route;
  return createRoute({
    method,
    path,
    operationId,
    summary,
    tags: [tag],
    request: {
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { query }),
      ...(body === undefined
        ? {}
        : {
            body: {
              description: body.description,
              required: body.required,
              content: { "application/json": { schema: body.schema } },
            },
          }),
    },
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, { schema, description }]) => [status, json(schema, description)]),
      ),
      ...errorAnswers(errorsOf(route)),
    },
  });
}

interface Content {
  readonly description: string;
  readonly content: { readonly "application/json": { readonly schema: z.ZodType } };
}

/** By status: the codes that a program has to tell apart there. */
function errorAnswers(codes: readonly ApiErrorCode[]): Record<number, Content> {
  const byStatus: Record<number, Content> = {};
  for (const status of new Set(codes.map((code) => statusOf[code]))) {
    const here = codes.filter((code) => statusOf[code] === status) as [ApiErrorCode, ...ApiErrorCode[]];
    const schema = ErrorAnswer.extend({ error: ErrorAnswer.shape.error.extend({ code: z.enum(here) }) });
    const example = { error: { code: here[0], message: "…", details: null, docs: `docs/errors.md#${here[0]}` } };
    byStatus[status] = json(schema.openapi({ example }), here.map((code) => `\`${code}\``).join(", "));
  }
  return byStatus;
}

function json(schema: z.ZodType, description: string): Content {
  return { description, content: { "application/json": { schema } } };
}
