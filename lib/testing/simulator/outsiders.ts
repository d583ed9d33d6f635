// Those whom a run waits for: parties that were given a task token, and people who are asked. They answer after a while,
// some say no at first, some click twice; and they notice when an answer that they were told counts does not.
import type { RunState } from "../../engine/run-state.ts";
import type { Commands } from "../../runtime/commands.ts";
import { PawlError } from "../../runtime/errors.ts";
import { type Chooser, pick } from "./chooser.ts";
import type { Evidence } from "./evidence.ts";

/** What they see of the world, and do to it. */
export interface Surroundings {
  nowMs(): number;
  readonly chooser: Chooser;
  readonly seen: Evidence;
  act(label: string, what: (commands: Commands) => Promise<unknown>): void;
}

/** Something that could happen next. */
export interface Move {
  readonly label: () => string;
  readonly make: () => void;
}

interface Question {
  readonly runId: string;
  readonly id: string;
}

interface HandedOut {
  readonly runId: string;
  readonly step: number;
  readonly token: string;
  /** Its holder answers then, if it means to answer at all. */
  atMs: number;
  beats: number;
  isAsked: boolean;
}

export class Outsiders {
  readonly #world: Surroundings;
  readonly #handedOut: HandedOut[] = [];
  /** Tokens and questions whose answers were told to count. */
  readonly #counted = new Set<string>();
  readonly #failedOnce = new Set<string>();
  /** Questions that somebody has answered, as far as they know. */
  readonly #answered = new Set<string>();
  readonly #askedAgain = new Set<string>();

  constructor(world: Surroundings) {
    this.#world = world;
  }

  handOut(step: number, token: string): void {
    const delayMs = this.#pick([0, 0, 5_000, 20_000]);
    const [, , , , runId = ""] = placeOf(token);
    this.#handedOut.push({ runId, step, token, atMs: this.#world.nowMs() + delayMs, beats: 0, isAsked: true });
  }

  /** What they might do now. */
  moves(): Move[] {
    const questions = this.#questions().filter(({ id }) => !this.#answered.has(id));
    const tokens = this.#handedOut.filter(({ isAsked, atMs }) => isAsked && atMs <= this.#world.nowMs());
    return [
      ...questions.map((question) => ({
        label: () => `somebody answers ${question.id} of ${question.runId}`,
        make: () => {
          this.#answerQuestion(question);
        },
      })),
      ...tokens.map((one) => ({
        label: () => `the holder of the token of ${one.runId} s${one.step} acts`,
        make: () => {
          this.#answerToken(one);
        },
      })),
    ];
  }

  /** When they will do something by themselves. */
  times(): number[] {
    return this.#handedOut.flatMap(({ isAsked, atMs }) => (isAsked ? [atMs] : []));
  }

  /** Whoever heard nothing asks again. `false` when neither a token that was handed out nor an answer is awaited. */
  askAgain(): boolean {
    const questions = this.#questions();
    for (const { id } of questions) {
      this.#answered.delete(id);
      this.#askedAgain.add(id);
    }
    const open = this.#handedOut.filter(({ runId, step, token }) => {
      const state = this.#run(runId)?.steps[step];
      const [, , , attempt] = placeOf(token);
      return state?.status === "waiting" && String(state.attempt) === attempt;
    });
    for (const one of open) one.isAsked = true;
    return questions.length + open.length > 0;
  }

  /** Somebody uses a token at any time, in any way, however old it is. */
  meddle(): void {
    if (this.#handedOut.length === 0) return;
    this.#useToken(this.#pick(this.#handedOut), this.#pick(["succeed", "fail", "heartbeat"] as const));
  }

  #run(runId: string): RunState | undefined {
    return this.#world.seen.run(runId);
  }

  #questions(): Question[] {
    const questions: Question[] = [];
    for (const run of this.#world.seen.allRuns()) {
      // Looked for at every step of a schedule: most runs ask nothing.
      if (run.interrupts.length === 0) continue;
      for (const [index, asked] of run.interrupts.entries()) {
        const id = run.steps[index]?.status === "waiting" ? asked?.pending : undefined;
        if (id !== undefined) questions.push({ runId: run.runId, id });
      }
    }
    return questions;
  }

  /** The answer to a question is what it asks; a double click gives it twice. */
  #answerQuestion({ runId, id }: Question): void {
    this.#answered.add(id);
    const clicks = this.#world.chooser.chance(0.2, "outsider") ? 2 : 1;
    const isOnly = clicks === 1 && !this.#askedAgain.has(id);
    const { payload } = JSON.parse(this.#world.seen.payload(runId, `ask#${id}`) ?? "{}") as {
      readonly payload?: unknown;
    };
    for (let click = 0; click < clicks; click++) {
      this.#world.act(`answer ${id}`, async (commands) => {
        await commands.answer(runId, id, payload).catch((error: unknown) => {
          const isConflict = error instanceof PawlError && error.code === "interrupt_conflict";
          // Nobody else has answered it, and no redrive has put it aside.
          const isRedriven = (this.#run(runId)?.epoch ?? 0) > 0;
          if (isConflict && isOnly && !isRedriven) this.#world.seen.fail(`R6: the only answer to ${id} was refused`);
          throw error;
        });
        this.#count(id);
      });
    }
  }

  #answerToken(one: HandedOut): void {
    if (one.beats < 3 && this.#world.chooser.chance(0.5, "outsider")) {
      one.beats++;
      one.atMs = this.#world.nowMs() + 20_000;
      this.#useToken(one, "heartbeat");
      return;
    }
    one.isAsked = false;
    // Every other party says no at first.
    const isWilling = one.step % 2 === 0 || this.#failedOnce.has(`${one.runId}/${one.step}`);
    this.#useToken(one, isWilling ? "succeed" : "fail");
  }

  #useToken({ runId, step, token }: HandedOut, action: "succeed" | "fail" | "heartbeat"): void {
    this.#world.act(`${action} s${step}`, async ({ callbacks }) => {
      if (action === "heartbeat") return callbacks.heartbeat(token);
      if (action === "succeed") await callbacks.succeed(token, 1);
      else await callbacks.fail(token, { message: "as planned" });
      this.#count(token);
      const status = this.#run(runId)?.steps[step]?.status;
      if (action === "fail") this.#failedOnce.add(`${runId}/${step}`);
      else if (status !== undefined && status !== "succeeded")
        this.#world.seen.fail(`R6: the answer to step ${step} counted and is lost`);
      return undefined;
    });
  }

  #count(answered: string): void {
    if (this.#counted.has(answered)) this.#world.seen.fail(`R6: two answers to ${answered} counted`);
    this.#counted.add(answered);
  }

  #pick<T>(from: readonly T[]): T {
    return pick(this.#world.chooser, from, "outsider");
  }
}

/** Steps that wait for a signal alone, and have not been sent one. */
export function signalsAwaited(run: RunState): string[] {
  return run.steps.flatMap((step, index) => {
    const isOther = run.tokens[index] !== undefined || run.interrupts[index]?.pending !== undefined;
    const isAwaited = step?.status === "waiting" && step.wakeAtMs === undefined && run.signals[index] === undefined;
    return isAwaited && !isOther ? [`s${index}`] : [];
  });
}

/** The secret, then step, epoch, attempt and run id. */
function placeOf(token: string): string[] {
  return Buffer.from(token, "base64url").toString().split("/");
}
