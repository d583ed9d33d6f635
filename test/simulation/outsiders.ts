// Those whom a run waits for: parties that were given a task token, and people who are asked. They answer after a while,
// some say no at first, some click twice; and they notice when an answer that they were told counts does not.
import type { RunState } from "../../lib/engine/run-state.ts";
import type { Commands } from "../../lib/runtime/commands.ts";
import { PawlError } from "../../lib/runtime/errors.ts";

/** What they see of the world, and do to it. */
export interface Surroundings {
  nowMs(): number;
  random(): number;
  run(): RunState | undefined;
  payload(key: string): string | undefined;
  act(label: string, what: (commands: Commands) => Promise<unknown>): void;
  violated(message: string): never;
}

interface HandedOut {
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
  readonly #failedOnce = new Set<number>();
  /** Questions that somebody has answered, as far as they know. */
  readonly #answered = new Set<string>();
  readonly #askedAgain = new Set<string>();

  constructor(world: Surroundings) {
    this.#world = world;
  }

  handOut(step: number, token: string): void {
    const delayMs = this.#pick([0, 0, 5_000, 20_000]);
    this.#handedOut.push({ step, token, atMs: this.#world.nowMs() + delayMs, beats: 0, isAsked: true });
  }

  /** What they might do now. */
  choices(): (() => void)[] {
    const questions = this.#questions().filter((id) => !this.#answered.has(id));
    const tokens = this.#handedOut.filter(({ isAsked, atMs }) => isAsked && atMs <= this.#world.nowMs());
    return [
      ...questions.map((id) => () => {
        this.#answerQuestion(id);
      }),
      ...tokens.map((one) => () => {
        this.#answerToken(one);
      }),
    ];
  }

  /** When they will do something by themselves. */
  times(): number[] {
    return this.#handedOut.flatMap(({ isAsked, atMs }) => (isAsked ? [atMs] : []));
  }

  /** Whoever heard nothing asks again. `false` when neither a token that was handed out nor an answer is awaited. */
  askAgain(): boolean {
    const questions = this.#questions();
    for (const id of questions) {
      this.#answered.delete(id);
      this.#askedAgain.add(id);
    }
    const open = this.#handedOut.filter(({ step, token }) => {
      const state = this.#world.run()?.steps[step];
      const [, , , attempt] = Buffer.from(token, "base64url").toString().split("/");
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

  #questions(): string[] {
    const run = this.#world.run();
    return (run?.interrupts ?? []).flatMap((asked, index) =>
      asked?.pending !== undefined && run?.steps[index]?.status === "waiting" ? [asked.pending] : [],
    );
  }

  /** The answer to a question is what it asks; a double click gives it twice. */
  #answerQuestion(id: string): void {
    this.#answered.add(id);
    const clicks = this.#world.random() < 0.2 ? 2 : 1;
    const isOnly = clicks === 1 && !this.#askedAgain.has(id);
    const { payload } = JSON.parse(this.#world.payload(`ask#${id}`) ?? "{}") as { readonly payload?: unknown };
    for (let click = 0; click < clicks; click++) {
      this.#world.act(`answer ${id}`, async (commands) => {
        await commands.answer("run", id, payload).catch((error: unknown) => {
          const isConflict = error instanceof PawlError && error.code === "interrupt_conflict";
          // Nobody else has answered it, and no redrive has put it aside.
          const isRedriven = (this.#world.run()?.epoch ?? 0) > 0;
          if (isConflict && isOnly && !isRedriven) this.#world.violated(`R6: the only answer to ${id} was refused`);
          throw error;
        });
        this.#count(id);
      });
    }
  }

  #answerToken(one: HandedOut): void {
    if (one.beats < 3 && this.#world.random() < 0.5) {
      one.beats++;
      one.atMs = this.#world.nowMs() + 20_000;
      this.#useToken(one, "heartbeat");
      return;
    }
    one.isAsked = false;
    // Every other party says no at first.
    this.#useToken(one, one.step % 2 === 0 || this.#failedOnce.has(one.step) ? "succeed" : "fail");
  }

  #useToken({ step, token }: HandedOut, action: "succeed" | "fail" | "heartbeat"): void {
    this.#world.act(`${action} s${step}`, async ({ callbacks }) => {
      if (action === "heartbeat") return callbacks.heartbeat(token);
      if (action === "succeed") await callbacks.succeed(token, 1);
      else await callbacks.fail(token, { message: "as planned" });
      this.#count(token);
      const status = this.#world.run()?.steps[step]?.status;
      if (action === "fail") this.#failedOnce.add(step);
      else if (status !== "succeeded") this.#world.violated(`R6: the answer to step ${step} counted and is lost`);
      return undefined;
    });
  }

  #count(answered: string): void {
    if (this.#counted.has(answered)) this.#world.violated(`R6: two answers to ${answered} counted`);
    this.#counted.add(answered);
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#world.random() * from.length)] as T;
  }
}
