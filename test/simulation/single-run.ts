// One run, its children, and forks of it; and the users who operate them.
import { limits } from "../../lib/definition/limits.ts";
import { mayEndByHand } from "../../lib/engine/by-hand.ts";
import { parentRunId } from "../../lib/engine/child.ts";
import { isTerminal } from "../../lib/engine/run-state.ts";
import { type Chooser, pick } from "../../lib/testing/simulator/chooser.ts";
import { Violation } from "../../lib/testing/simulator/evidence.ts";
import type { World } from "../../lib/testing/simulator/world.ts";
import type { Plan } from "./plan.ts";
import { type Story, Stuck } from "./playing.ts";

/** Steps, sleeps and callbacks of random workflows wait for this long at most. */
const delaysMostMs = 10 * 60_000;

/** A run that is full from the start. */
const padding = Object.fromEntries(["a", "b", "c", "d"].map((key) => [key, "x".repeat(limits.tagLength)]));

export function singleRun(world: World, plan: Plan): Story {
  return new SingleRun(world, plan);
}

class SingleRun implements Story {
  readonly #world: World;
  readonly #chooser: Chooser;
  readonly #plan: Plan;
  #isPurged = false;
  /** A purge was asked for: a run that is not there may be gone for good. */
  #mayBeGone = false;

  constructor(world: World, plan: Plan) {
    this.#world = world;
    this.#chooser = world.chooser;
    this.#plan = plan;
  }

  begin(): void {
    const tags = this.#plan.padded ? { tags: padding } : {};
    this.#world.act("start", (commands) => commands.start("random", { runId: "run", ...tags }));
  }

  async operate(): Promise<void> {
    const children = [...this.#world.seen.allRuns()].filter(({ runId }) => runId.includes("~"));
    if (children.length > 0 && this.#chooser.chance(0.3, "user")) this.#operateChild(this.#pick(children).runId);
    else await this.#pick(this.#plan.kind === "purged" ? this.#purging : this.#operations)();
  }

  readonly #operations: readonly (() => void | Promise<void>)[] = [
    ...several(4, () => this.#do("pause")),
    ...several(4, () => this.#do("resume")),
    ...several(2, () => this.#world.outsiders.meddle()),
    ...several(4, () => this.#signal("run", this.#signalStep())),
    ...several(2, () => this.#do("redrive")),
    () => this.#do("cancel"),
    () => this.#world.terminate("run"),
    () => this.#redriveByHand(this.#anyStep()),
    () => this.#fork(),
    () => this.#world.assertNoFalseAlarm(),
  ];

  readonly #purging: readonly (() => void)[] = [
    ...several(4, () => {
      // A worker that still starts a child when its run is gone already would leave it behind.
      const isIdle = this.#world.machinery.processes.every(({ handling }) => handling === 0);
      if (isIdle && this.#world.seen.run("run") !== undefined) this.#tryPurge();
    }),
    () => this.#do("redrive"),
    () => this.#do("cancel"),
    () => this.#signal("run", this.#signalStep()),
  ];

  async goOn(): Promise<boolean> {
    const world = this.#world;
    world.assertWaitersTold();
    if (this.#plan.losses > 0 && (await auditInTime(world))) return true;
    if (this.#plan.usersTakeMs > 0) world.wait(this.#plan.usersTakeMs);
    if (world.finishRemovals()) return true;
    const [orphan] = world.orphans();
    if (orphan !== undefined) throw new Stuck(`R5: ${orphan} outlived its parent`);
    // A caller that heard nothing asks again.
    if (world.seen.run("run") === undefined && !this.#mayBeGone) this.begin();
    else if (!this.#answer()) return this.#goOnAfterEnd();
    return true;
  }

  #goOnAfterEnd(): boolean {
    const { kind, operationChance } = this.#plan;
    if (kind === "purged" && !this.#isPurged) {
      this.#isPurged = true;
      this.#purgeAndRedrive();
      return true;
    }
    if (operationChance === 0 || kind === "purged" || this.#chooser.chance(0.4, "user")) return false;
    const run = this.#world.seen.run("run");
    const mendable = run?.steps.flatMap((_step, index) => (mayEndByHand(run, index) ? [`s${index}`] : [])) ?? [];
    const choice = this.#chooser.fraction("user");
    if (choice < 0.4) this.#fork();
    else if (choice < 0.7 && mendable.length > 0) this.#redriveByHand(this.#pick(mendable));
    else if (run?.status !== "succeeded") this.#do("redrive");
    return true;
  }

  /** Does what some run waits for from outside; `false` when none does, and all have ended. */
  #answer(): boolean {
    const world = this.#world;
    const open = [...world.seen.allRuns()].filter(({ status }) => !isTerminal(status));
    // An outside party died with its answer, or never heard that it had failed.
    if (open.some(({ status }) => status === "running") && world.outsiders.askAgain()) return true;
    for (const run of open) {
      const { runId, status } = run;
      const awaited = run.steps.findIndex((_, at) => world.awaitsSignal(run, at) && run.signals[at] === undefined);
      if (status === "paused") world.act(`resume ${runId}`, (commands) => commands.resume(runId));
      else if (status === "running" && awaited !== -1) this.#signal(runId, `s${awaited}`);
      else if (run.steps.some((step, at) => step?.status === "waiting" && !world.awaitsSignal(run, at))) continue;
      else throw new Stuck(`R5: ${runId} is ${status} and nothing is in flight`);
      return true;
    }
    if (open[0] !== undefined) throw new Stuck(`R5: ${open[0].runId} waits for a child that has ended`);
    return false;
  }

  #tryPurge(): void {
    this.#mayBeGone = true;
    this.#do("purge");
  }

  #purgeAndRedrive(): void {
    const redrive = (): void => this.#do("redrive");
    const choice = this.#chooser.fraction("user");
    if (choice < 0.3) redrive();
    this.#tryPurge();
    if (choice > 0.7) redrive();
    if (this.#chooser.chance(0.3, "user")) this.#tryPurge();
  }

  #do(name: "pause" | "resume" | "redrive" | "cancel" | "purge", runId = "run"): void {
    this.#world.act(`${name} ${runId}`, (commands) => commands[name](runId));
  }

  #operateChild(runId: string): void {
    const name = this.#pick(["pause", "resume", "cancel", "redrive", "terminate"] as const);
    if (name === "terminate") this.#world.terminate(runId);
    else this.#do(name, runId);
  }

  #signal(runId: string, step: string): void {
    this.#world.act(`signal ${runId} ${step}`, (commands) => commands.signal(runId, step, 1));
  }

  /** With an output that says why, so that the two are known to belong together. */
  #redriveByHand(step: string): void {
    const reason = String(this.#chooser.choose(1e6, "user"));
    const request = this.#chooser.chance(0.5, "user") ? { set: { [step]: Number(reason) } } : { skip: [step] };
    this.#world.act(`redrive by hand: ${JSON.stringify(request)}`, async (commands) => {
      await commands.redrive("run", { ...request, by: "somebody", reason });
      const run = this.#world.seen.run("run");
      const index = Number(step.slice(1));
      // Unless it has begun anew since, because something before it was undone, or is gone.
      if (
        run !== undefined &&
        this.#plan.kind !== "purged" &&
        run.byHand?.[index] === undefined &&
        run.generations[index] === undefined
      )
        this.#world.seen.fail(`R6: a redrive has ended ${step} by hand, and that is lost`);
    });
  }

  /** Few ids, so that forks meet: of one run, of another, from here and from there, one after the other and at once. */
  #fork(): void {
    const runId = this.#pick(["fork0", "fork1"]);
    const original = this.#pick(["run", "run", "run", "fork0", "fork1"]);
    const fork = (of: string, from: string): void =>
      this.#world.act(`fork ${runId} of ${of} from ${from}`, (commands) => commands.fork(of, { from, runId }), runId);
    fork(original, this.#anyStep());
    if (this.#chooser.chance(0.5, "user")) fork("run", this.#anyStep());
  }

  #signalStep(): string {
    const signals = this.#plan.steps.flatMap(({ behaviour }, index) => (behaviour === "signal" ? [`s${index}`] : []));
    return signals.length === 0 ? this.#anyStep() : this.#pick(signals);
  }

  #anyStep(): string {
    return `s${this.#chooser.choose(this.#plan.steps.length, "user")}`;
  }

  #pick<T>(from: readonly T[]): T {
    return pick(this.#chooser, from, "user");
  }
}

/** So many times as likely. */
function several(times: number, operation: () => void): (() => void)[] {
  return Array.from({ length: times }, () => operation);
}

/** Whether an audit finds something to repair, once it has been due for long; what a rate limit may hold back, a day later. */
async function auditInTime(world: World): Promise<boolean> {
  for (const waitMs of [limits.auditAfterMs + delaysMostMs, limits.rateMostMs]) {
    world.wait(waitMs);
    if ((await world.audit()).stuck > 0) return true;
  }
  return false;
}

/** How the run has ended, as far as it does not depend on the schedule. */
export function outcome(world: World): string {
  const run = world.seen.run("run");
  // What a failing run had begun when it failed depends on the schedule; what a succeeded one did does not.
  // A fault may cut a failing attempt off, or keep it from being cut off.
  const ends = run?.steps.map((step) => (step?.status === "unknown" ? "failed" : step?.status));
  return `${run?.status}: ${run?.status === "succeeded" ? ends?.join(", ") : "whatever"}`;
}

/** How many attempts each step took, of a run that has succeeded. */
export function attempts(world: World): string {
  return (
    world.seen
      .run("run")
      ?.steps.map((step) => step?.attempt ?? 0)
      .join(", ") ?? ""
  );
}

/** Nothing is left of a run that is gone. */
export function assertNothingLeft({ machinery, seen }: World): void {
  const left = machinery.store.leftovers();
  if (left.length > 0) throw new Violation(`a purge leaves ${left.join(", ")}`);
  for (const { runId, parent, status, retentionMs } of seen.allRuns()) {
    const isLeft = parent !== undefined && seen.run(parentRunId(runId)) === undefined && retentionMs === undefined;
    if (isLeft) throw new Violation(`a purge leaves ${runId}, which is ${status} and never expires`);
  }
}
