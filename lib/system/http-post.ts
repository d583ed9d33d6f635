/** One request over HTTP, as webhooks need it: of the answer only its head counts. */

export interface PostRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
}

export interface PostAnswer {
  readonly status: number;
  /** Its header `retry-after`. */
  readonly retryAfter?: string;
}

/** Follows no redirect. Rejects when there is no answer. */
export type HttpPost = (request: PostRequest) => Promise<PostAnswer>;

export const httpPost: HttpPost = async ({ url, ...request }) => {
  const answer = await fetch(url, { ...request, method: "POST", redirect: "manual" });
  // Ends the connection: whatever else is sent is not read.
  await answer.body?.cancel();
  const retryAfter = answer.headers.get("retry-after");
  return { status: answer.status, ...(retryAfter === null ? {} : { retryAfter }) };
};
