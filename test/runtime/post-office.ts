// Reply queues in memory, as one that loses and repeats things at the test's word.
import type { Replies, Reply, ReplyQueue } from "../../lib/runtime/ports.ts";

interface Box {
  readonly notices: unknown[];
  wake: () => void;
}

export class PostOffice implements Replies {
  /** All that was sent, delivered or not. */
  readonly sent: Reply[] = [];
  /** Queues that are there, by id. */
  readonly boxes = new Map<string, Box>();
  made = 0;
  /** Requests for notices that are under way. */
  receiving = 0;
  /** Those that were cut off: on SQS they may take a notice with them. */
  aborted = 0;
  /** So many notices do not arrive. */
  loses = 0;
  /** So many requests for notices, or for a queue, fail. */
  fails = 0;

  /** While it is set, what is sent is kept here, and does not arrive. */
  keepsBack: Reply[] | undefined;

  async send(replies: readonly Reply[]): Promise<void> {
    this.sent.push(...replies);
    for (const reply of replies) {
      if (this.loses > 0) this.loses--;
      else if (this.keepsBack !== undefined) this.keepsBack.push(reply);
      else this.put(reply.replyTo, JSON.parse(JSON.stringify(reply.notice)));
    }
  }

  /** What was kept back arrives. */
  release(): void {
    const kept = this.keepsBack ?? [];
    this.keepsBack = undefined;
    for (const { replyTo, notice } of kept) this.put(replyTo, JSON.parse(JSON.stringify(notice)));
  }

  /** Anything, from anybody. */
  put(replyTo: string, body: unknown): void {
    const box = this.boxes.get(replyTo);
    box?.notices.push(body);
    box?.wake();
  }

  /** The queue is deleted under those who wait at it. */
  lose(id: string): void {
    const box = this.boxes.get(id);
    this.boxes.delete(id);
    box?.wake();
  }

  readonly create = async (): Promise<ReplyQueue> => {
    this.#maybeFail();
    const id = `q-${++this.made}`;
    const box: Box = { notices: [], wake: () => undefined };
    this.boxes.set(id, box);
    return {
      id,
      receive: async (_atMostMs, signal) => {
        this.receiving++;
        try {
          this.#maybeFail();
          if (box.notices.length === 0 && this.boxes.has(id)) {
            await new Promise<void>((resolve) => {
              box.wake = resolve;
              signal.addEventListener("abort", () => resolve(), { once: true });
            });
          }
          if (signal.aborted) this.aborted++;
          signal.throwIfAborted();
          return this.boxes.has(id) ? box.notices.splice(0) : undefined;
        } finally {
          this.receiving--;
        }
      },
      remove: async () => void this.boxes.delete(id),
    };
  };

  #maybeFail(): void {
    if (this.fails === 0) return;
    this.fails--;
    throw new Error("the reply queue failed on purpose");
  }
}
