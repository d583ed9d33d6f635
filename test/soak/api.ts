/** Requests to a server that may die at any moment. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RunView } from "../../lib/runtime/run-view.ts";

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A server that lives answers within this time. */
const answerWithinMs = 30_000;
const pauseMs = 40;

export class Api {
  readonly #url: string;
  readonly #surprise: (what: string) => void;
  readonly #stopped: AbortSignal;

  constructor(url: string, surprise: (what: string) => void, stopped: AbortSignal) {
    this.#url = url;
    this.#surprise = surprise;
    this.#stopped = stopped;
  }

  /** @returns `undefined` when the connection was cut off: the request may have counted */
  async ask(method: "GET" | "POST", path: string, body?: unknown): Promise<Answer | undefined> {
    const deadline = AbortSignal.timeout(answerWithinMs);
    try {
      const response = await fetch(`${this.#url}${path}`, {
        method,
        signal: AbortSignal.any([deadline, this.#stopped]),
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
      const answer = { status: response.status, body: await response.json() };
      if (response.status === 500) this.#surprise(`${method} ${path}: ${JSON.stringify(answer.body)}`);
      return answer;
    } catch {
      if (deadline.aborted) this.#surprise(`${method} ${path}: no answer within ${answerWithinMs} ms`);
      return undefined;
    }
  }

  /**
   * Asks until somebody answers otherwise than that the server is just starting or stopping.
   *
   * @param onCutOff told of each request whose fate is not known
   * @throws when the soak is over
   */
  async persist(method: "GET" | "POST", path: string, body?: unknown, onCutOff?: () => unknown): Promise<Answer> {
    for (;;) {
      this.#stopped.throwIfAborted();
      const answer = await this.ask(method, path, body);
      if (answer !== undefined && answer.status < 500) return answer;
      if (answer === undefined) onCutOff?.();
      await sleep(pauseMs, undefined, { signal: this.#stopped });
    }
  }

  /** @returns `undefined` when there is no such run */
  async show(runId: string, wait = "0s"): Promise<RunView | undefined> {
    const { status, body } = await this.persist("GET", `/runs/${encodeURIComponent(runId)}?wait=${wait}`);
    return status === 404 ? undefined : (body as RunView);
  }
}
