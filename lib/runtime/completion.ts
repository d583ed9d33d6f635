/**
 * Waits for the ends of runs without asking for them: a wait is registered on its run in one conditional write, which
 * shows a run that has ended already; then the run is read once, when its notice has come.
 *
 * Invariants:
 * 1. Between registration and notice nothing is read of the run.
 * 2. All waits of a process share one reply queue and one loop that receives from it, and the loop runs only while
 *    somebody waits. Nothing outlives `close`.
 * 3. A notice only says where to look: one that is repeated, late, foreign or lost makes no wait end wrongly, and a wait
 *    whose notice is lost registers again after `limits.waiterMs` at the latest, and sees the end then.
 */
import { type Duration, durationForm, formatDuration, parseDuration } from "../definition/duration.ts";
import { limits } from "../definition/limits.ts";
import { isRunId } from "../engine/record-id.ts";
import type { RunState } from "../engine/run-state.ts";
import { isTerminal } from "../engine/run-state.ts";
import { isParked, reconsiderWaiter, registerWaiter } from "../engine/waiter.ts";
import type { Commands } from "./commands.ts";
import { PawlError } from "./errors.ts";
import { imageOf } from "./image.ts";
import { parseNotice } from "./notice-codec.ts";
import type { Clock, CreateReplyQueue, Logger, Ports, ReplyQueue } from "./ports.ts";
import type { RunView } from "./run-view.ts";
import { settleAll } from "./settle-all.ts";
import { UnderWay } from "./under-way.ts";

export interface WaitOptions {
  /** From 1ms to 366d. @default 366d, which no run outlives that has a timeout */
  readonly timeout?: Duration;
  /** Ends the wait; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface Completions {
  /**
   * The run when it has ended, in whatever way.
   *
   * @throws {PawlError} run_not_found; run_parked when it cannot go on with the code that is deployed; wait_timeout with the run
   *   as it is in `details.run`; unavailable when too many processes wait for this run, or the connection is closed
   */
  waitForCompletion(runId: string, options?: WaitOptions): Promise<RunView>;
  /** The same for who takes the run as it is when the time is over, or when it is parked meanwhile. @throws {PawlError} run_not_found, unavailable */
  waitForEnd(runId: string, options: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<RunView>;
  /** Waits that are under way reject with `unavailable`, and the reply queue is removed. */
  close(): Promise<void>;
}

export interface CompletionOptions {
  readonly ports: Ports;
  readonly commands: Pick<Commands, "get">;
  readonly createReplyQueue: CreateReplyQueue;
}

export function createCompletions(options: CompletionOptions): Completions {
  return new SharedWaits(options);
}

/** Why a wait looks at its run. */
type Wakeup = "notice" | "again" | "timeout" | "aborted" | "closed";

class SharedWaits implements Completions {
  readonly #ports: Ports;
  readonly #get: Commands["get"];
  readonly #createReplyQueue: CreateReplyQueue;
  #inbox: Inbox | undefined;
  /** Inboxes whose queue is not removed yet, the present one included. */
  readonly #inboxes = new Set<Inbox>();
  #closing: Promise<void> | undefined;

  constructor({ ports, commands, createReplyQueue }: CompletionOptions) {
    this.#ports = ports;
    this.#get = (runId) => commands.get(runId);
    this.#createReplyQueue = createReplyQueue;
  }

  async waitForCompletion(runId: string, { timeout, signal }: WaitOptions = {}): Promise<RunView> {
    const timeoutMs = parseTimeout(timeout);
    const { run, because } = await this.#wait(runId, { timeoutMs, signal, isImpatient: true });
    if (because === "aborted") throw signal?.reason;
    return completed(run, timeoutMs);
  }

  async waitForEnd(
    runId: string,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<RunView> {
    const { run } = await this.#wait(runId, { timeoutMs, signal, isImpatient: false });
    return run;
  }

  async close(): Promise<void> {
    this.#closing ??= settleAll([...this.#inboxes].map((inbox) => inbox.close())).then(() => undefined);
    return this.#closing;
  }

  /** @param isImpatient whether a run that is parked already ends the wait at once; one that is parked meanwhile always does */
  async #wait(
    runId: string,
    {
      timeoutMs,
      signal,
      isImpatient,
    }: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined; readonly isImpatient: boolean },
  ): Promise<{ readonly run: RunView; readonly because: Wakeup }> {
    const { clock } = this.#ports;
    const endsAtMs = clock.now() + timeoutMs;
    for (;;) {
      const untilMs = Math.min(endsAtMs, clock.now() + limits.waiterMs);
      using wait = this.#current().listen(runId, { untilMs, isLast: untilMs === endsAtMs, signal });
      const run = await this.#register(runId, wait, untilMs);
      if (isTerminal(run.status) || (isImpatient && isParked(run))) {
        return { run: await this.#get(runId), because: "notice" };
      }
      const because = await wait.until(run.epoch);
      if (because === "closed") throw closed();
      if (because === "again") continue;
      const view = await this.#get(runId);
      // One that was resumed or redriven meanwhile goes on, and so does the wait: registered anew, as a redrive forgets it.
      if (because !== "notice" || isTerminal(view.status) || isParked(view)) return { run: view, because };
    }
  }

  /** The run as the write that registered has it; as it is, when it has ended. */
  async #register(runId: string, wait: Wait, untilMs: number): Promise<RunState> {
    const { store, clock } = this.#ports;
    const replyTo = await wait.replyTo();
    if (!isRunId(runId)) throw runNotFound(runId);
    let transition = registerWaiter(replyTo, untilMs);
    for (let tries = 0; tries < limits.decisionTries; tries++) {
      const result = await store.update(runId, transition);
      if (result.fields === undefined) throw runNotFound(runId);
      const { run } = imageOf(runId, result.fields);
      if (result.applied) return run;
      const verdict = reconsiderWaiter(run, replyTo, untilMs, clock.now());
      if (verdict.kind === "registered" || verdict.kind === "ended") return run;
      if (verdict.kind === "full") break;
      ({ transition } = verdict);
    }
    const message = `${limits.waiters} processes wait for run ${runId} already, and no more are allowed. Let them share one client, or ask for the run now and then.`;
    throw new PawlError("unavailable", message);
  }

  /** A queue that has become old is left to those who wait there, so that it is never as old as an orphan. */
  #current(): Inbox {
    if (this.#closing !== undefined) throw closed();
    if (this.#inbox === undefined || !this.#inbox.isFresh()) {
      this.#inbox?.retire();
      const inbox = new Inbox(this.#ports, this.#createReplyQueue, () => this.#inboxes.delete(inbox));
      this.#inbox = inbox;
      this.#inboxes.add(inbox);
    }
    return this.#inbox;
  }
}

/** @throws {PawlError} run_parked, wait_timeout */
export function completed(run: RunView, timeoutMs: number): RunView {
  const { runId, status, pause } = run;
  if (isTerminal(status)) return run;
  if (isParked(run)) {
    const message = `Run ${runId} is parked and does not go on by itself: ${pause?.message ?? ""}`;
    throw new PawlError("run_parked", message, { pause, run });
  }
  const message = `Run ${runId} has not ended within ${formatDuration(timeoutMs)}: it is ${status}. It goes on; wait for it again, or for longer.`;
  throw new PawlError("wait_timeout", message, { run });
}

/** In ms. @throws {PawlError} invalid_request */
export function parseTimeout(timeout: string | undefined): number {
  if (timeout === undefined) return limits.waitMs;
  const timeoutMs = parseDuration(timeout);
  if (timeoutMs !== undefined && timeoutMs > 0 && timeoutMs <= limits.waitMs) return timeoutMs;
  const message = `timeout is ${JSON.stringify(timeout)}; allowed is ${durationForm}, more than 0 and up to ${formatDuration(limits.waitMs)}.`;
  throw new PawlError("invalid_request", message);
}

interface Wait extends Disposable {
  /** Id of the queue that the notice is to be sent to. */
  replyTo(): Promise<string>;
  /** @param epoch of the run when it was registered: notices of a former one are no news */
  until(epoch: number): Promise<Wakeup>;
}

interface Listener {
  readonly untilMs: number;
  /** A notice that has come, of that epoch. */
  readonly heard: (epoch: number) => void;
  readonly wake: (because: Wakeup) => void;
}

/** One reply queue, those who wait there, and the loop that receives for them. */
class Inbox {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #create: CreateReplyQueue;
  readonly #forget: () => void;
  readonly #madeAtMs: number;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #behind = new UnderWay();
  #queue: Promise<ReplyQueue> | undefined;
  #removal: Promise<void> | undefined;
  #isGone = false;
  #isRetired = false;
  /** Of the loop, while it runs. */
  #receiving: Receiving | undefined;

  constructor({ clock, logger }: Ports, create: CreateReplyQueue, forget: () => void) {
    this.#clock = clock;
    this.#logger = logger;
    this.#create = create;
    this.#forget = forget;
    this.#madeAtMs = clock.now();
  }

  isFresh(): boolean {
    return !this.#isGone && this.#clock.now() - this.#madeAtMs < limits.replyQueueMs;
  }

  /** Takes no further waits: the queue is removed after the last. */
  retire(): void {
    this.#isRetired = true;
    if (this.#listeners.size === 0) this.#removeBehind();
  }

  /** From now on no notice is missed. */
  listen(
    runId: string,
    {
      untilMs,
      isLast,
      signal,
    }: { readonly untilMs: number; readonly isLast: boolean; readonly signal: AbortSignal | undefined },
  ): Wait {
    let newest = -1;
    let sinceEpoch: number | undefined;
    let resolve = (_because: Wakeup): void => undefined;
    const woken = new Promise<Wakeup>((resolved) => {
      resolve = resolved;
    });
    // At once, so that the loop asks for nothing that nobody waits for: an aborted request may take a notice with it.
    const leave = (): void => {
      ofRun.delete(listener);
      if (ofRun.size === 0 && this.#listeners.get(runId) === ofRun) this.#listeners.delete(runId);
    };
    const wake = (because: Wakeup): void => {
      leave();
      resolve(because);
    };
    const listener: Listener = {
      untilMs,
      heard: (epoch) => {
        newest = Math.max(newest, epoch);
        if (sinceEpoch !== undefined && newest >= sinceEpoch) wake("notice");
      },
      wake,
    };
    const ofRun = this.#listeners.get(runId) ?? new Set();
    this.#listeners.set(runId, ofRun.add(listener));
    const aborted = (): void => wake("aborted");
    if (signal?.aborted === true) aborted();
    signal?.addEventListener("abort", aborted, { once: true });
    const cancelTimer = this.#clock.after(Math.max(0, untilMs - this.#clock.now()), () =>
      wake(isLast ? "timeout" : "again"),
    );
    return {
      replyTo: async () => {
        const { id } = await this.#made();
        return id;
      },
      until: async (epoch) => {
        sinceEpoch = epoch;
        if (newest >= epoch) wake("notice");
        this.#receive();
        return woken;
      },
      [Symbol.dispose]: () => {
        cancelTimer();
        signal?.removeEventListener("abort", aborted);
        leave();
        if (this.#listeners.size > 0) return;
        this.#receiving?.stop();
        if (this.#isRetired) this.#removeBehind();
      },
    };
  }

  async close(): Promise<void> {
    this.#isRetired = true;
    this.#wakeAll("closed");
    try {
      await this.#remove();
    } finally {
      await this.#behind.ended();
    }
  }

  /** Made once; what failed is tried again by the next who waits. */
  async #made(): Promise<ReplyQueue> {
    this.#queue ??= this.#create().catch((error: unknown) => {
      this.#queue = undefined;
      throw error;
    });
    return this.#queue;
  }

  #wakeAll(because: Wakeup): void {
    for (const ofRun of this.#listeners.values()) for (const listener of ofRun) listener.wake(because);
  }

  #receive(): void {
    const before = this.#receiving;
    if (before?.isOver() === false || this.#listeners.size === 0) return;
    const receiving = new Receiving();
    this.#receiving = receiving;
    // After an abort the former loop may still be ending.
    receiving.done = this.#loop(receiving, before?.done);
  }

  async #loop(receiving: Receiving, before: Promise<void> | undefined): Promise<void> {
    await before;
    const { signal } = receiving;
    let failures = 0;
    while (!receiving.isOver()) {
      // Looked at and left in one turn: whoever comes later begins another loop.
      if (this.#listeners.size === 0) {
        receiving.stop();
        return;
      }
      try {
        const queue = await this.#made();
        const bodies = await queue.receive(this.#longestMs(), signal);
        failures = 0;
        if (bodies === undefined) {
          this.#isGone = true;
          receiving.stop();
          this.#logger.warn("the reply queue is gone; another one is made", { replyTo: queue.id });
          this.#wakeAll("again");
          return;
        }
        for (const body of bodies) this.#take(body);
      } catch (error) {
        if (receiving.isOver()) return;
        this.#logger.warn("notices could not be received; tried again", { error });
        await this.#pause(Math.min(1_000 * 2 ** failures++, limits.replyRetryMs), signal);
      }
    }
  }

  /** Until the last who waits gives up. */
  #longestMs(): number {
    const ends = [...this.#listeners.values()].flatMap((ofRun) => [...ofRun].map(({ untilMs }) => untilMs));
    return Math.max(0, Math.max(...ends) - this.#clock.now());
  }

  #take(body: unknown): void {
    const notice = parseNotice(body);
    if (notice === undefined) {
      this.#logger.warn("something came to the reply queue that is no notice; it is left out");
      return;
    }
    for (const listener of this.#listeners.get(notice.runId) ?? []) listener.heard(notice.epoch);
  }

  async #pause(forMs: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(forMs, resolve);
      const stop = (): void => {
        cancel();
        resolve();
      };
      signal.addEventListener("abort", stop, { once: true });
    });
  }

  /** Behind the wait that was the last; `close` waits for it. */
  #removeBehind(): void {
    const removed = this.#remove().catch((error: unknown) => {
      this.#logger.warn("a reply queue could not be removed; an audit of the stack does so in a day", { error });
    });
    this.#behind.add(removed);
  }

  /** Once, however many ask for it; what failed is tried again by the next who does. */
  async #remove(): Promise<void> {
    this.#removal ??= this.#removeQueue().catch((error: unknown) => {
      this.#removal = undefined;
      throw error;
    });
    return this.#removal;
  }

  async #removeQueue(): Promise<void> {
    this.#receiving?.stop();
    await this.#receiving?.done;
    const queue = await this.#queue?.catch(() => undefined);
    await queue?.remove();
    this.#forget();
  }
}

/** One loop, from its first request to its last. */
class Receiving {
  readonly #stopping = new AbortController();
  done: Promise<void> = Promise.resolve();

  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  isOver(): boolean {
    return this.#stopping.signal.aborted;
  }

  stop(): void {
    this.#stopping.abort();
  }
}

function closed(): PawlError {
  return new PawlError("unavailable", "The client has been closed. Runs that were waited for go on.");
}

function runNotFound(runId: string): PawlError {
  return new PawlError("run_not_found", `There is no run ${JSON.stringify(runId)}.`);
}
