/** Every error of the API as one shape. What went wrong is told by `code`; `docs/errors.md` has a section for each. */
import { PawlError, type PawlErrorCode } from "../runtime/errors.ts";

/** Errors of HTTP itself; the others come from the engine. */
type HttpErrorCode =
  | "route_not_found"
  /** A cursor that is not one of this server's, or one of another query. */
  | "invalid_cursor"
  /** The input or output that is asked for by itself. */
  | "payload_not_found"
  /** What the run costs: nobody has counted. */
  | "not_metered"
  | "method_not_allowed"
  | "malformed_json"
  | "unsupported_content_type"
  | "forbidden_origin"
  | "url_too_long"
  /** Only where the server itself reads HTTP: the API never sees such a request. */
  | "headers_too_large"
  | "request_timeout"
  | "internal_error";

export type ApiErrorCode = PawlErrorCode | HttpErrorCode;

/** The one table of codes and statuses. */
export const statusOf = {
  invalid_input: 400,
  invalid_payload: 400,
  invalid_request: 400,
  invalid_cursor: 400,
  malformed_json: 400,
  forbidden_origin: 403,
  route_not_found: 404,
  workflow_not_found: 404,
  run_not_found: 404,
  operation_not_found: 404,
  step_not_found: 404,
  payload_not_found: 404,
  not_metered: 404,
  signal_not_found: 404,
  callback_not_found: 404,
  interrupt_not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  run_conflict: 409,
  signal_conflict: 409,
  interrupt_conflict: 409,
  status_conflict: 409,
  payload_too_large: 413,
  url_too_long: 414,
  unsupported_content_type: 415,
  headers_too_large: 431,
  internal_error: 500,
  unavailable: 503,
  storage_failed: 503,
} as const satisfies Record<ApiErrorCode, number>;

/** Thrown by routes; becomes the answer. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ApiErrorCode;
  /** What a program can act on. JSON. */
  readonly details: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ApiErrorCode,
    message: string,
    { details, headers = {} }: { readonly details?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.code = code;
    this.details = details;
    this.headers = headers;
  }
}

/** An error that callers are told; `undefined` for every other one. */
export function toApiError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error;
  if (!(error instanceof PawlError)) return undefined;
  const code = (Object.keys(statusOf) as ApiErrorCode[]).find((known) => known === error.code);
  return code === undefined ? undefined : new ApiError(code, error.message, { details: error.details });
}

/** What is answered. `details` is `null` when there is nothing to add. */
export interface ErrorBody {
  readonly error: {
    readonly code: ApiErrorCode;
    readonly message: string;
    readonly details: unknown;
    /** Page and section of this package's documentation. */
    readonly docs: string;
  };
}

/** The answer of a server that has not come to the routes, or not got past them. */
export function errorResponse(error: ApiError): Response {
  return Response.json(errorBody(error), {
    status: statusOf[error.code],
    headers: { ...answerHeaders, ...error.headers },
  });
}

/** Of every answer: what is shown of a run is private, and changes. */
export const answerHeaders = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" } as const;

export function errorBody({ code, message, details }: ApiError): ErrorBody {
  return { error: { code, message, details: details ?? null, docs: `docs/errors.md#${code}` } };
}
