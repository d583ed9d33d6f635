// Who is told by webhooks: it answers as the test says, and keeps what came.
import { Webhook } from "standardwebhooks";
import type { HttpPost, PostAnswer, PostRequest } from "../../lib/system/http-post.ts";
import type { WebhookBody } from "../../lib/system/webhook.ts";

export const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
export const url = "https://receiver.example/hooks/a-secret-path";

export class Receiver {
  readonly requests: PostRequest[] = [];
  /** What it answers: to the first, the second …; after them, 200. */
  answers: readonly (number | PostAnswer | "nothing" | "refused")[] = [];

  readonly post: HttpPost = async (request) => {
    this.requests.push(request);
    const answer = this.answers[this.requests.length - 1] ?? 200;
    if (answer === "refused") {
      throw new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 192.0.2.1:443") });
    }
    if (answer === "nothing") return new Promise((_, reject) => onAbort(request.signal, reject));
    return typeof answer === "number" ? { status: answer } : answer;
  };

  /** What came, its signature checked by the reference implementation. */
  bodies(): WebhookBody[] {
    return this.requests.map((request) => verified(request));
  }

  ids(): string[] {
    return this.requests.map(({ headers }) => headers["webhook-id"] ?? "");
  }
}

export function verified(
  { body, headers }: Pick<PostRequest, "body" | "headers">,
  by = new Webhook(secret),
): WebhookBody {
  return by.verify(body, { ...headers }) as WebhookBody;
}

function onAbort(signal: AbortSignal, reject: (error: unknown) => void): void {
  signal.addEventListener("abort", () => reject(signal.reason));
}
