// The one face by which the scenarios drive both engines: the HTTP API.
import { setTimeout as sleep } from "node:timers/promises";
import type { RunView, StepRunView } from "../../lib/runtime/run-view.ts";

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** An engine that serves the HTTP API. */
export interface Host {
  /** Sends one request. Rejects when nobody answers. */
  request(method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<Answer>;
}

const patienceMs = 150_000;
const pauseMs = 250;

export class Driver {
  readonly #host: Host;
  readonly #prefix: string;

  /** @param prefix of the ids of its runs, so that two scenarios never meet in one run */
  constructor(host: Host, prefix: string) {
    this.#host = host;
    this.#prefix = prefix;
  }

  get host(): Host {
    return this.#host;
  }

  /** @returns the id of the run */
  async start(
    workflow: string,
    input?: unknown,
    suffix = "1",
    tags?: Readonly<Record<string, string>>,
  ): Promise<string> {
    const runId = `${this.#prefix}-${suffix}`;
    // What is undefined is not sent.
    await this.send("POST", `/workflows/${workflow}/runs`, { runId, input, tags });
    return runId;
  }

  async show(runId: string): Promise<RunView> {
    return (await this.send("GET", `/runs/${encodeURIComponent(runId)}`)) as RunView;
  }

  async signal(runId: string, name: string, payload?: unknown): Promise<void> {
    await this.send("POST", `/runs/${runId}/signals/${name}`, payload);
  }

  async operate(runId: string, operation: "cancel" | "pause" | "redrive" | "resume"): Promise<void> {
    await this.send("POST", `/runs/${runId}/${operation}`);
  }

  /** @throws {Error} with the answer, when it is not one of success */
  async send(method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<unknown> {
    const answer = await this.#host.request(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** The run as soon as it is so. A host that is just starting again is waited for. */
  async until(runId: string, isSo: (run: RunView) => boolean, withinMs = patienceMs): Promise<RunView> {
    const giveUpAtMs = Date.now() + withinMs;
    for (;;) {
      const run = await this.show(runId).catch((error: unknown) => error as Error);
      if (!(run instanceof Error) && isSo(run)) return run;
      if (Date.now() > giveUpAtMs) {
        throw new Error(`Run ${runId} did not get there: ${run instanceof Error ? run.message : JSON.stringify(run)}`);
      }
      await sleep(pauseMs);
    }
  }

  /** Asks until it is so. */
  async untilSo(isSo: () => Promise<boolean>): Promise<void> {
    const giveUpAtMs = Date.now() + patienceMs;
    while (!(await isSo())) {
      if (Date.now() > giveUpAtMs) throw new Error(`It was not so within ${patienceMs} ms.`);
      await sleep(pauseMs);
    }
  }

  async untilEnd(runId: string, withinMs = patienceMs): Promise<RunView> {
    return this.until(runId, ({ status }) => !["running", "paused", "unwinding"].includes(status), withinMs);
  }

  async untilWaiting(runId: string, step: string): Promise<RunView> {
    return this.until(runId, ({ steps }) => steps[step]?.status === "waiting");
  }
}

/** What must be the same wherever a run went on: everything but times and addresses. */
export function comparable({ runId, workflow, fingerprint, status, output, error, compensation, steps }: RunView) {
  const compared = ({ status, attempt, output, error, compensation: undone }: StepRunView) => ({
    status,
    attempt,
    output,
    error: nameAndMessage(error),
    undone: undone === undefined ? undefined : `${undone.status} ${undone.attempt}`,
  });
  return {
    runId,
    workflow,
    fingerprint,
    status,
    output,
    error: error === undefined ? undefined : { ...nameAndMessage(error), step: error.step },
    compensation,
    steps: Object.fromEntries(Object.entries(steps).map(([id, step]) => [id, compared(step)])),
  };
}

/** Without the stack: it names files of the host. */
function nameAndMessage(error: { readonly name: string; readonly message: string } | undefined) {
  return error === undefined ? undefined : { name: error.name, message: error.message };
}
