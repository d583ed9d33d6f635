/** One run of a workflow from its start to its end, on a schedule: processes crash, stand still, or get messages twice. */

import { reachableWorkflows } from "../definition/reachable.ts";
import type { Workflow } from "../definition/workflow.ts";
import type { EmbeddedBackend } from "../embedded/backend.ts";
import { startEngine } from "../embedded/engine.ts";
import { createMemoryBackend } from "../embedded/memory-backend.ts";
import { createMemoryBlobs } from "../embedded/memory-blobs.ts";
import type { Message, OutgoingMessage } from "../engine/message.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { CallbackFailure } from "../runtime/callbacks.ts";
import { type Commands, createCommands } from "../runtime/commands.ts";
import type { RunView } from "../runtime/run-view.ts";
import { idOf } from "../runtime/step-data.ts";
import { withArchives } from "../runtime/with-archives.ts";
import { withBlobs } from "../runtime/with-blobs.ts";
import { callCode, invoke, waitOn } from "./call-code.ts";
import { Calls, type StepCall } from "./calls.ts";
import { Histories } from "./histories.ts";
import { describeEntry, type HistoryEntry } from "./history.ts";
import type { CodeSite } from "./instrument.ts";
import { instrument } from "./instrument.ts";
import { type Fate, Life } from "./life.ts";
import { type CompiledMock, compileMocks, type ErasedMocks } from "./mocks.ts";
import { seededRandomness } from "./seeded-randomness.ts";
import { type Effect, type Services } from "./services.ts";
import { silent } from "./silent.ts";
import { skipTime } from "./skip-time.ts";
import { TestError } from "./test-error.ts";
import { atRest, VirtualClock } from "./virtual-clock.ts";
import { type AwaitedAct, awaitedActs } from "./waits.ts";

/** What goes wrong. */
export interface Plan {
  /** Points at which the process crashes, by their numbers over all processes. */
  readonly crashes: readonly number[];
  /** Point at which the process stands still until others have finished the run: its lease expires while it works. */
  readonly stands?: number;
  /** Number of the sending whose messages are all delivered twice: at once, and again after a minute. */
  readonly twice?: number;
}

export const calm: Plan = { crashes: [] };

/** What somebody outside does when the run waits for it, by the ids of steps. */
export interface Script {
  /** Payloads of signals. */
  readonly signals?: Readonly<Record<string, unknown>>;
  /** Answers to questions. */
  readonly answers?: Readonly<Record<string, unknown>>;
  /** What whoever was given a task token does with it. */
  readonly callbacks?: Readonly<Record<string, CallbackAnswer>>;
}

export type CallbackAnswer = { readonly succeed: unknown } | { readonly fail: CallbackFailure };

/** What is played. Each playing has its own. */
export interface Scene {
  readonly workflow: Workflow;
  readonly services: Services;
  readonly input: unknown;
  readonly mocks: readonly ErasedMocks[];
  readonly script: Script;
  /** How long, in real time, virtual time waits for code that does not return. */
  readonly patienceMs: number;
}

export interface Played {
  /** The points that processes came to, in words: what was to happen next. */
  readonly points: readonly string[];
  /** What was sent, in words. */
  readonly sendings: readonly string[];
  readonly run: RunView;
  readonly output: unknown;
  readonly calls: readonly StepCall[];
  readonly effects: readonly Effect[];
  readonly states: Readonly<Record<string, unknown>>;
}

export async function play(scene: Scene, plan: Plan): Promise<Played> {
  return new Play(scene, plan).toEnd();
}

const runId = "explored";

/** Longer than any lease, and than what a message that came twice may wait for. */
const settlesMs = 120_000;

const timesMost = 10_000;

class Play {
  readonly #scene: Scene;
  readonly #plan: Plan;
  readonly #clock = new VirtualClock(undefined, () => this.#rest());
  readonly #calls = new Calls();
  readonly #histories: Histories;
  readonly #backend: EmbeddedBackend;
  readonly #blobs = createMemoryBlobs();
  readonly #random = seededRandomness(1);
  readonly #commands: Commands;
  readonly #mockOf: (site: CodeSite) => CompiledMock | undefined;
  readonly #points: string[] = [];
  readonly #sendings: string[] = [];
  readonly #tokens = new Map<string, string>();
  readonly #done = new Set<string>();
  readonly #lives: Life[] = [];
  #life: Life;
  #looked = -1;
  #standing: Life | undefined;

  constructor(scene: Scene, plan: Plan) {
    this.#scene = scene;
    this.#plan = plan;
    const workflows = [scene.workflow];
    this.#histories = new Histories(reachableWorkflows(workflows), this.#clock, (entries) => this.#tell(entries));
    this.#backend = this.#histories.watch(createMemoryBackend({ clock: this.#clock, logger: silent }));
    this.#mockOf = compileMocks(workflows, scene.mocks, (ms, signal) => waitOn(this.#clock, ms, signal));
    this.#life = this.#born();
    const store = withArchives(withBlobs(this.#backend, this.#blobs));
    const ports = { store, queue: this.#backend, clock: this.#clock, random: this.#random, logger: silent };
    this.#commands = createCommands({ workflows, ports });
  }

  async toEnd(): Promise<Played> {
    const { workflow, input } = this.#scene;
    await this.#begin(this.#life);
    await this.#commands.start(workflow.name, { runId, input });
    await skipTime(this.#clock, timesMost, (isLast) => this.#isOver(isLast));
    return this.#played();
  }

  async #isOver(isLast: boolean): Promise<boolean> {
    // What follows takes no time, and is looked at anew.
    while (true) {
      if (this.#life.state !== "goesOn") await this.#succeed();
      else if (this.#hasEnded() && this.#standing === undefined) return true;
      else if (this.#standing !== undefined && (this.#hasEnded() || isLast)) await this.#standUp();
      else if (!(await this.#act())) break;
      await this.#clock.advance(0);
      isLast = this.#clock.nextTimerAtMs() === undefined;
    }
    await this.#assertNotParked();
    return false;
  }

  #hasEnded(): boolean {
    const run = this.#histories.run(runId);
    return run !== undefined && isTerminal(run.status);
  }

  #born(): Life {
    const shared = this.#backend;
    const backend: EmbeddedBackend = {
      ...shared,
      send: async (messages) => {
        await shared.send(messages);
        if (this.#plan.twice === this.#sendings.push(this.#describe(messages.map(({ message }) => message))) - 1)
          await shared.send(again(messages));
      },
    };
    const life = new Life(backend, this.#clock, (label) => this.#arrive(label), {
      messages: (messages) => this.#describe(messages),
      payload: (of, key) => this.#describePayload(of, key),
    });
    this.#lives.push(life);
    return life;
  }

  async #begin(life: Life): Promise<void> {
    const { services, patienceMs } = this.#scene;
    const limitOf = (timeoutMs: number): number => Math.min(timeoutMs, patienceMs);
    const [watched] = instrument([this.#scene.workflow], {
      attempt: (site, context, own) => {
        if ("token" in context) this.#tokens.set(`${context.runId}/${site.step}`, String(context.token));
        return services.within(life, site, context, () =>
          this.#calls.record(site, context, () =>
            callCode(life.running, this.#mockOf(site), limitOf(site.timeoutMs), context, own),
          ),
        );
      },
      view: (timeoutMs, own) => life.running.track(invoke(own), limitOf(timeoutMs)),
    });
    const workflows = watched === undefined ? [] : [watched];
    const { clock, backend } = life;
    await startEngine({ workflows, logger: silent, clock, random: this.#random }, backend, () => this.#blobs);
  }

  /** Another process takes over. */
  async #succeed(): Promise<void> {
    if (this.#life.state === "stands") this.#standing = this.#life;
    this.#life = this.#born();
    await this.#begin(this.#life);
  }

  /** The one that stood still goes on, with what it was about to do. */
  async #standUp(): Promise<void> {
    this.#standing?.goOn();
    this.#standing = undefined;
    await this.#clock.advance(settlesMs);
  }

  async #rest(): Promise<void> {
    for (const life of this.#lives) if (life.state === "goesOn") await life.running.rest();
    // Those that have just ended left nothing to wait for.
    await atRest(1);
  }

  #arrive(label: string): Fate {
    const point = this.#points.push(label) - 1;
    if (this.#plan.crashes.includes(point)) return "dies";
    return this.#plan.stands === point ? "stands" : "goesOn";
  }

  /** The write of the last point says what it means for the run. */
  #tell(entries: readonly HistoryEntry[]): void {
    const label = this.#points.at(-1);
    if (label?.startsWith("a write of run ") !== true || entries.length === 0) return;
    const what = entries.map((entry) => describeEntry(entry, (at) => at)).join(", ");
    this.#points[this.#points.length - 1] = `the write "${what}"`;
  }

  #describe(messages: readonly Message[]): string {
    const what = messages.map((message) => {
      const step = "step" in message ? ` ${idOf(this.#histories.graphOf(message), message.step)}` : "";
      return `${message.kind}${step}`;
    });
    return what.join(", ");
  }

  #describePayload(of: string, key: string): string {
    const run = this.#histories.run(of);
    const [, kind, index] = /^u?(err|out|bg)#(\d+)#/.exec(key) ?? [];
    if (run === undefined || kind === undefined) return key;
    const what = { err: "error", out: "output", bg: "background errors" }[kind] ?? kind;
    return `the ${what} of ${idOf(this.#histories.graphOf(run), Number(index))}`;
  }

  /** Does what the script says for what is waited for now. `false`: nothing. */
  async #act(): Promise<boolean> {
    let hasActed = false;
    for (const state of this.#histories.runs()) {
      if (isTerminal(state.status) || !state.steps.some((step) => step?.status === "waiting")) continue;
      const run = await this.#commands.get(state.runId);
      for (const [step, view] of Object.entries(run.steps)) {
        if (view.status === "waiting" && (await this.#actFor(run, step))) hasActed = true;
      }
    }
    return hasActed;
  }

  async #actFor(run: RunView, step: string): Promise<boolean> {
    const { signals = {}, answers = {}, callbacks = {} } = this.#scene.script;
    const view = run.steps[step];
    const once = (what: string): boolean => !this.#done.has(what) && this.#done.add(what).has(what);
    if (view?.waitsFor === "signal" && Object.hasOwn(signals, step)) {
      if (!once(`${run.runId}/${step}#${run.redrives}`)) return false;
      await this.#commands.signal(run.runId, step, signals[step]);
      return true;
    }
    const question = view?.interrupt?.id;
    if (question !== undefined && Object.hasOwn(answers, step)) {
      if (!once(question)) return false;
      await this.#commands.answer(run.runId, question, answers[step]);
      return true;
    }
    const answer = callbacks[step];
    const token = this.#tokens.get(`${run.runId}/${step}`);
    if (view?.waitsFor !== "callback" || answer === undefined || token === undefined || !once(token)) return false;
    if ("succeed" in answer) await this.#commands.callbacks.succeed(token, answer.succeed);
    else await this.#commands.callbacks.fail(token, answer.fail);
    return true;
  }

  async #assertNotParked(): Promise<void> {
    // What somebody has to do changes only with a write.
    if (this.#standing !== undefined || this.#looked === this.#histories.writes()) return;
    this.#looked = this.#histories.writes();
    const show = (id: string) => this.#commands.get(id);
    const acts = await awaitedActs(await show(runId), show);
    if (acts.length > 0) throw new TestError(acts.map(unscripted).join("\n"));
  }

  async #played(): Promise<Played> {
    const { services } = this.#scene;
    const played: Played = {
      points: this.#points,
      sendings: this.#sendings,
      run: await this.#commands.get(runId),
      output: await this.#commands.output(runId),
      calls: this.#calls.all(),
      effects: services.effects,
      states: services.states(),
    };
    // Whoever is left of its processes can do nothing any more.
    await this.#backend.close();
    return played;
  }
}

/** At once, and after the first has been dealt with. */
function again(messages: readonly OutgoingMessage[]): readonly OutgoingMessage[] {
  return [0, 60_000].flatMap((laterMs) => messages.map((one) => ({ ...one, delayMs: one.delayMs + laterMs })));
}

function unscripted({ act, step }: AwaitedAct): string {
  const id = JSON.stringify(step);
  switch (act) {
    case "signal":
      return `The run waits for the signal ${id}. Say what it carries: signals: { ${id}: payload }.`;
    case "answer":
      return `The run waits for an answer to the question of step ${id}. Say which: answers: { ${id}: answer }.`;
    case "callback":
      return `The run waits for whoever was given the task token of step ${id}. Say what they do: callbacks: { ${id}: { succeed: output } }.`;
    case "resume":
      return "The run is paused: its code is not there, or something has paused it.";
  }
}
