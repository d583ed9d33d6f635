/** Keeps an attempt ours while its code runs, and notices when it no longer is (R4). Short attempts never renew. */
import { limits } from "../definition/limits.ts";
import { renew } from "../engine/commit.ts";
import { isTerminal } from "../engine/run-state.ts";
import { type Attempt, stateOn } from "../engine/track.ts";
import type { RunningAttempt } from "./attempt.ts";
import { type Image, imageOf } from "./image.ts";
import type { Delivery, Logger, Ports } from "./ports.ts";

export class Lease {
  readonly #ports: Ports;
  readonly #delivery: Delivery;
  readonly #log: Logger;
  readonly #mine: Attempt;
  readonly #attempt: RunningAttempt;
  #image: Image;
  #untilMs: number;
  #cancelTimer = (): void => undefined;
  #renewal: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(ports: Ports, delivery: Delivery, log: Logger, image: Image, mine: Attempt, attempt: RunningAttempt) {
    this.#ports = ports;
    this.#delivery = delivery;
    this.#log = log;
    this.#image = image;
    this.#mine = mine;
    this.#attempt = attempt;
    this.#untilMs = ports.clock.now() + limits.leaseMs;
    this.#schedule();
  }

  /** Ends renewing; the newest image of the run that is known. */
  async stop(): Promise<Image> {
    this.#stopped = true;
    this.#cancelTimer();
    await this.#renewal;
    return this.#image;
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#ports.clock.after(limits.leaseRenewalMs, () => {
      this.#renewal = this.#renew().then(() => {
        this.#schedule();
      });
    });
  }

  async #renew(): Promise<void> {
    try {
      await this.#delivery.extend(limits.visibilityMs);
      const nowMs = this.#ports.clock.now();
      for (let tries = 0; tries < limits.decisionTries; tries++) {
        const transition = renew(this.#image.run, this.#mine, nowMs);
        if (transition === undefined) {
          if (this.#hasSucceeded()) this.#stopped = true;
          else this.#lost();
          return;
        }
        const result = await this.#ports.store.update(this.#image.run.runId, transition);
        if (result.fields !== undefined) this.#image = imageOf(this.#image.run.runId, result.fields);
        if (this.#isBeingEnded()) this.#attempt.hurry();
        if (result.applied) {
          this.#untilMs = nowMs + limits.leaseMs;
          return;
        }
      }
    } catch (error) {
      this.#log.warn("the lease could not be renewed; trying again", { error });
      if (this.#ports.clock.now() >= this.#untilMs) this.#lost();
    }
  }

  #isBeingEnded(): boolean {
    const { status, unwindTo } = this.#image.run;
    return this.#mine.track === "step" && status === "unwinding" && unwindTo !== undefined;
  }

  /** Ended from outside: nobody else works on it, so its code may go on to its end. */
  #hasSucceeded(): boolean {
    const step = stateOn(this.#mine.track, this.#image.run, this.#mine.step);
    return step?.status === "succeeded" && step.attempt === this.#mine.attempt;
  }

  #lost(): void {
    this.#stopped = true;
    if (isTerminal(this.#image.run.status)) {
      this.#attempt.abort("run_ended", `The run is ${this.#image.run.status}.`);
    } else {
      this.#attempt.abort("lease_lost", "Another worker has taken over this step, or the lease could not be renewed.");
    }
  }
}
