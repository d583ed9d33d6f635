/**
 * What users do to runs from outside. Every change arms a message first, then writes, then sends its effects: whoever
 * dies in between leaves a message behind that finishes the work (R5).
 */
import type { Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import type { Workflow } from "../definition/workflow.ts";
import { isDoneByHand, nothingByHand } from "../engine/by-hand.ts";
import { mapRunId } from "../engine/child.ts";
import { nudge } from "../engine/due.ts";
import { allowsRunMove } from "../engine/moves.ts";
import {
  cancel,
  isUndoIncomplete,
  type Mark,
  type OperateVerdict,
  onceMarked,
  pause,
  redrive,
  resume,
  terminate,
} from "../engine/operate.ts";
import { isRunId } from "../engine/record-id.ts";
import { isTerminal, type RunState } from "../engine/run-state.ts";
import type { Transition } from "../engine/transition.ts";
import { type Acted, type Action, actedBy } from "./acting.ts";
import { giveAnswer } from "./answers.ts";
import { type CallbackCommands, createCallbacks } from "./callbacks.ts";
import { readSummary, type StoredSummary } from "./child-end.ts";
import { Definitions } from "./definitions.ts";
import { advanceAll, tellWaiters } from "./effects.ts";
import { PawlError } from "./errors.ts";
import { type ForkRequest, forkRun } from "./fork-run.ts";
import { change, type Image, imageOf } from "./image.ts";
import type { Ports } from "./ports.ts";
import { purgeRun } from "./purge-run.ts";
import { readRun } from "./read-run.ts";
import { createRemoval, type Removal } from "./removal.ts";
import { prepareRepairs, type RedriveRequest } from "./repairs.ts";
import {
  hashPayload,
  parsePayload,
  parseRunId,
  parseSlotKey,
  parseStartAt,
  parseTags,
  type StartArguments,
  type StartRequest,
} from "./request.ts";
import { outputStep, type RunView, viewRun } from "./run-view.ts";
import { type SignalRequest, sendSignal } from "./send-signal.ts";
import { gateIsBusy, Slots } from "./slots.ts";
import { answerStart, prepareRun, type Started, startRun } from "./start-run.ts";
import { loadPayload, stepIndex } from "./step-data.ts";
import { linkStart } from "./tracing.ts";

export type { ForkRequest, RedriveRequest, StartArguments, Started, StartRequest };

export interface Commands {
  /** @throws {PawlError} workflow_not_found, invalid_input, invalid_request, payload_too_large, run_conflict, unavailable */
  start(workflow: string, request?: StartRequest): Promise<Started>;
  /** @throws {PawlError} run_not_found */
  get(runId: string): Promise<RunView>;
  /** The run's input, however large; `undefined` when it has none. @throws {PawlError} run_not_found */
  input(runId: string): Promise<unknown>;
  /**
   * The output of the step, or of the run when none is named, however large. `undefined` until the step or the run has
   * succeeded, and when it returned nothing. @throws {PawlError} run_not_found, step_not_found
   */
  output(runId: string, stepId?: string): Promise<unknown>;
  /**
   * Ends the run, at once when none of its steps can be undone; results of steps in flight are then refused. Otherwise the
   * run unwinds: what is in flight is asked to end, and what took effect is undone. Cancelling again changes nothing.
   *
   * @throws {PawlError} run_not_found, status_conflict
   */
  cancel(runId: string): Promise<RunView>;
  /** No step begins until the run is resumed; steps in flight may end. @throws {PawlError} run_not_found, status_conflict */
  pause(runId: string): Promise<RunView>;
  /** Goes on with a paused run, or with one that was parked because its code was missing. @throws {PawlError} run_not_found, status_conflict */
  resume(runId: string): Promise<RunView>;
  /** Ends the run at once, also while it unwinds, and undoes nothing. @throws {PawlError} run_not_found, status_conflict */
  terminate(runId: string): Promise<RunView>;
  /**
   * Goes on with a run that failed, timed out or was cancelled: steps that succeeded keep their outputs, the others
   * begin again, or are ended by hand as the request says; so does what was undone. While something could not be undone,
   * that is what is tried again.
   *
   * @throws {PawlError} run_not_found, status_conflict, invalid_request, unavailable
   */
  redrive(runId: string, request?: RedriveRequest): Promise<RunView>;
  /**
   * Removes a run that has ended, with all that it has stored and all runs that its steps have started. Nothing brings it
   * back. What has been removed before is not found.
   *
   * @throws {PawlError} run_not_found, status_conflict, for one that has not ended or is part of another run; unavailable
   */
  purge(runId: string): Promise<void>;
  /**
   * Starts a new run of the same graph with the same input, which keeps what this one has done, except for the step
   * `from` and all that depends on it. This one may be in any status, and is not changed.
   *
   * @throws {PawlError} run_not_found, step_not_found, invalid_request, run_conflict, status_conflict, unavailable
   */
  fork(runId: string, request: ForkRequest): Promise<Started>;
  /**
   * Sends a signal to a run, once: its step takes it now, or when it begins to wait.
   *
   * @throws {PawlError} run_not_found, signal_not_found, invalid_payload, payload_too_large, signal_conflict,
   *   status_conflict
   */
  signal(runId: string, name: string, payload?: unknown): Promise<RunView>;
  /**
   * Answers the question that a step is parked on: `steps.<id>.interrupt` of the run. The step goes on with it.
   *
   * @throws {PawlError} run_not_found, interrupt_not_found, interrupt_conflict, invalid_payload, payload_too_large,
   *   status_conflict
   */
  answer(runId: string, interruptId: string, answer?: unknown): Promise<RunView>;
  /** For those who hold task tokens. */
  readonly callbacks: CallbackCommands;
  workflows(): readonly Workflow[];
}

/** For bulk operations, which act on each run once, and only as it was selected. */
export interface ActingCommands extends Commands {
  /** @throws {PawlError} as the command of that name does */
  act(runId: string, action: Action, mark: Mark): Promise<Acted>;
}

export function createCommands(options: {
  readonly workflows: readonly Workflow[];
  readonly ports: Ports;
}): ActingCommands {
  return new RunCommands(options.workflows, options.ports);
}

class RunCommands implements ActingCommands {
  readonly callbacks: CallbackCommands;
  readonly #ports: Ports;
  readonly #definitions: Definitions;
  readonly #slots: Slots;
  readonly #removal: Removal;

  constructor(workflows: readonly Workflow[], ports: Ports) {
    this.#ports = ports;
    this.#definitions = new Definitions(workflows, ports.store);
    this.#slots = new Slots(ports, this.#definitions);
    this.#removal = createRemoval({ workflows, ports });
    this.callbacks = createCallbacks(ports, this.#definitions);
  }

  workflows(): readonly Workflow[] {
    return this.#definitions.all();
  }

  async start(workflowName: string, request: StartRequest = {}): Promise<Started> {
    const { clock, random } = this.#ports;
    const workflow = this.#workflow(workflowName);
    const json = await parsePayload(workflow.inputSchema, request.input, {
      code: "invalid_input",
      what: "input",
      name: `The input of workflow "${workflow.name}"`,
      none: `Workflow "${workflow.name}" takes no input; start it without one.`,
    });
    const startAtMs = parseStartAt(request.startAt, clock.now());
    const slotKey = parseSlotKey(workflow, json);
    const { wanted, existing } = await prepareRun(this.#ports, {
      runId: parseRunId(request.runId) ?? random.id(),
      graph: workflow.graph,
      fingerprint: workflow.fingerprint,
      json,
      inputHash: hashPayload(json),
      retentionMs: workflow.retentionMs,
      keepGraph: () => this.#definitions.keep(workflow),
      ...(startAtMs === undefined ? {} : { startAtMs }),
      ...(slotKey === undefined ? {} : { slotKey }),
      ...(request.tags === undefined ? {} : { tags: parseTags(request.tags) }),
    });
    linkStart(wanted);
    if (existing !== undefined) return answerStart({ wanted, existing });
    return answerStart(await startRun(this.#ports, this.#slots, workflow.graph, wanted));
  }

  async get(runId: string): Promise<RunView> {
    const found = isRunId(runId) ? await this.#ports.store.load(runId) : undefined;
    if (found === undefined) throw runNotFound(runId);
    const run = readRun(runId, found.fields);
    const graph = await this.#definitions.graph(run.workflow, run.fingerprint);
    return viewRun(graph, run, found, await this.#slots.ahead(run));
  }

  async input(runId: string): Promise<unknown> {
    const { run } = await this.#find(runId);
    return loadPayload(this.#ports.store, run, run.input);
  }

  async output(runId: string, stepId?: string): Promise<unknown> {
    const { graph, image } = await this.#read(runId);
    const { run } = image;
    const index = stepId === undefined ? outputStep(graph, run) : stepIndex(graph, run, stepId);
    if (index === undefined) return undefined;
    const output = await loadPayload(this.#ports.store, run, run.outputs[index]);
    const isMap = graph.steps[index]?.kind === "map" && output !== undefined;
    return isMap ? readSummary(output as StoredSummary) : output;
  }

  async cancel(runId: string): Promise<RunView> {
    await this.#cancel(runId);
    return this.get(runId);
  }

  async pause(runId: string): Promise<RunView> {
    await this.#operate(runId, "pause", (run) => pause(run, { code: "requested", message: "Paused on request." }));
    return this.get(runId);
  }

  async resume(runId: string): Promise<RunView> {
    const { graph } = await this.#read(runId);
    await this.#operate(runId, "resume", (run) => resume(graph, run, this.#ports.clock.now()));
    return this.get(runId);
  }

  async terminate(runId: string): Promise<RunView> {
    await this.#terminate(runId);
    return this.get(runId);
  }

  async redrive(runId: string, request: RedriveRequest = {}): Promise<RunView> {
    await this.#redrive(runId, request);
    return this.get(runId);
  }

  async act(runId: string, action: Action, mark: Mark): Promise<Acted> {
    switch (action.kind) {
      case "redrive":
        return this.#redrive(runId, {}, mark);
      case "cancel":
        return this.#cancel(runId, mark);
      case "terminate":
        return this.#terminate(runId, mark);
      case "signal":
        return this.#signal(runId, { name: action.name, payload: action.payload, mark });
      case "purge":
        return this.#purge(runId, mark);
    }
  }

  async #cancel(runId: string, mark?: Mark): Promise<Acted> {
    const { graph } = await this.#read(runId);
    return this.#operate(runId, "cancel", (run) => cancel(graph, run, this.#ports.clock.now()), mark);
  }

  async #terminate(runId: string, mark?: Mark): Promise<Acted> {
    return this.#operate(runId, "terminate", (run) => terminate(run, this.#ports.clock.now()), mark);
  }

  async #redrive(runId: string, request: RedriveRequest, mark?: Mark): Promise<Acted> {
    const { graph, image } = await this.#read(runId);
    const workflow = this.#definitions.find(image.run.workflow);
    const mayRedrive = allowsRunMove("redrive", image.run.status);
    if (mayRedrive && namesSteps(request) && isUndoIncomplete(graph, image.run)) {
      const message = `Run ${runId} could not undo everything, and its redrive goes on with that. Redrive it without set and skip first; once all is undone, end steps by hand.`;
      throw new PawlError("status_conflict", message, { status: image.run.status });
    }
    const byHand = mayRedrive ? await prepareRepairs(this.#ports, workflow, graph, image, request) : nothingByHand;
    const decide = (run: RunState): OperateVerdict => {
      if (!mayRedrive && namesSteps(request)) return { kind: "refused", status: image.run.status };
      // Redriven since it was read: by this very request, if its answer was lost.
      if (run.epoch > image.run.epoch) {
        if (isDoneByHand(run, byHand)) return { kind: "already" };
        const message = `Run ${runId} was redriven by someone else meanwhile, and none of this request was done. Look at it again.`;
        throw new PawlError("status_conflict", message, { status: run.status });
      }
      if (run.epoch < limits.redrives) return redrive(graph, run, this.#ports.clock.now(), byHand);
      const message = `Run ${runId} has been redriven ${run.epoch} times, and ${limits.redrives} are allowed. Start a new run.`;
      throw new PawlError("status_conflict", message, { status: run.status });
    };
    return this.#operate(runId, "redrive", decide, mark);
  }

  async purge(runId: string): Promise<void> {
    if ((await this.#purge(runId)) === "done") return;
    const { run } = await this.#find(runId);
    const message = `Run ${runId} was redriven meanwhile, and is ${run.status}. Nothing of it was removed.`;
    throw new PawlError("status_conflict", message, { status: run.status });
  }

  async #purge(runId: string, mark?: Mark): Promise<Acted> {
    const image = await this.#find(runId);
    return purgeRun({ slots: this.#slots, removal: this.#removal, clock: this.#ports.clock }, image, mark);
  }

  async fork(runId: string, request: ForkRequest): Promise<Started> {
    const { graph, image } = await this.#read(runId);
    if (graph.shard !== undefined) {
      const message = `Run ${runId} is a part of a map, and has no steps that could be forked by themselves. Fork run ${mapRunId(runId)} from step "${graph.shard.map}".`;
      throw new PawlError("invalid_request", message);
    }
    const { run } = image;
    const retentionMs = this.#definitions.find(run.workflow)?.retentionMs ?? run.retentionMs ?? limits.retentionMs;
    return forkRun(this.#ports, this.#slots, graph, run, { ...request, retentionMs });
  }

  async signal(runId: string, name: string, payload?: unknown): Promise<RunView> {
    await this.#signal(runId, { name, payload });
    return this.get(runId);
  }

  async #signal(runId: string, request: SignalRequest): Promise<Acted> {
    const found = await this.#read(runId);
    return sendSignal(this.#ports, this.#definitions.find(found.image.run.workflow), found, request);
  }

  async answer(runId: string, interruptId: string, answer?: unknown): Promise<RunView> {
    const { image, graph } = await this.#read(runId);
    await giveAnswer(this.#ports, graph, image, interruptId, answer);
    return this.get(runId);
  }

  async #find(runId: string): Promise<Image> {
    const fields = isRunId(runId) ? await this.#ports.store.get(runId) : undefined;
    if (fields === undefined) throw runNotFound(runId);
    return imageOf(runId, fields);
  }

  /** The run and its graph, for what cannot be decided without it. */
  async #read(runId: string): Promise<{ readonly image: Image; readonly graph: Graph }> {
    const image = await this.#find(runId);
    const { workflow, fingerprint, pause: reason } = image.run;
    const graph = await this.#definitions.graph(workflow, fingerprint);
    if (graph !== undefined) return { image, graph };
    const message = `Run ${runId} cannot go on: ${reason?.message ?? `its graph ${fingerprint} is not there.`} To end it as it is, terminate it.`;
    throw new PawlError("status_conflict", message);
  }

  async #operate(
    runId: string,
    operation: string,
    decide: (run: RunState) => OperateVerdict,
    mark?: Mark,
  ): Promise<Acted> {
    const { store, queue, clock } = this.#ports;
    const image = await this.#find(runId);
    const graph = await this.#definitions.graph(image.run.workflow, image.run.fingerprint);
    let kind = "";
    const check = (run: RunState): Transition | undefined => {
      const verdict = mark === undefined ? decide(run) : onceMarked(run, mark, decide);
      kind = verdict.kind;
      if (verdict.kind !== "refused") return verdict.kind === "write" ? verdict.transition : undefined;
      const message = `Run ${runId} is ${verdict.status}; a run in that status cannot be changed by ${operation}.`;
      throw new PawlError("status_conflict", message, { status: verdict.status });
    };
    if (check(image.run) !== undefined) {
      await queue.send([nudge(graph, image.run, clock.now())]);
      // A run that goes on after its end asks for another slot, and nobody would know of this one any more.
      if (!(await this.#slots.leave(image.run))) throw gateIsBusy(runId);
      await this.#tellOfEnd(image.run);
      const after = await change(store, image, check);
      // What somebody else has changed, he drives on as well.
      if (kind === "changed") return "changed";
      if (graph !== undefined) await advanceAll(this.#ports, graph, after);
      else {
        await this.#slots.settle(after);
        await tellWaiters(this.#ports, after.run);
      }
    }
    return actedBy(kind);
  }

  /** A run that goes on after its end forgets who waits for it, and whoever ended it may have died before it told them. */
  async #tellOfEnd(run: RunState): Promise<void> {
    if (isTerminal(run.status)) await tellWaiters(this.#ports, run);
  }

  #workflow(name: string): Workflow {
    const workflow = this.#definitions.find(name);
    if (workflow !== undefined) return workflow;
    const known = this.workflows().map((one) => one.name);
    const message = `There is no workflow "${name}". Known are: ${known.length === 0 ? "none" : known.join(", ")}.`;
    throw new PawlError("workflow_not_found", message, { known });
  }
}

function namesSteps({ set = {}, skip = [] }: RedriveRequest): boolean {
  return Object.keys(set).length > 0 || skip.length > 0;
}

function runNotFound(runId: string): PawlError {
  return new PawlError("run_not_found", `There is no run ${JSON.stringify(runId)}.`);
}
