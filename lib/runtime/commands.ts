/**
 * What users do to runs from outside. Every change arms a message first, then writes, then sends its effects: whoever
 * dies in between leaves a message behind that finishes the work (R5).
 */
import type { Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import type { Workflow } from "../definition/workflow.ts";
import { decodeRun } from "../engine/codec.ts";
import { nudge } from "../engine/due.ts";
import { cancel, type OperateVerdict, pause, redrive, resume, terminate } from "../engine/operate.ts";
import { payloadKey, placePayload } from "../engine/placement.ts";
import type { RunState } from "../engine/run-state.ts";
import { isSameStart } from "../engine/start.ts";
import type { Transition } from "../engine/transition.ts";
import { deliverSignal } from "../engine/waiting.ts";
import { Definitions } from "./definitions.ts";
import { advanceAll, advanceBecauseOf } from "./effects.ts";
import { PawlError } from "./errors.ts";
import { change, type Image, imageOf } from "./image.ts";
import type { Ports } from "./ports.ts";
import { hashPayload, parsePayload, parseRunId, parseStartAt, parseTags, type StartRequest } from "./request.ts";
import { type RunView, viewRun } from "./run-view.ts";
import { startRun } from "./start-run.ts";
import { openSteps } from "./step-data.ts";

export type { StartRequest };

export interface Started {
  readonly runId: string;
  readonly status: RunView["status"];
  /** `false`: the run was there already, from the same start. */
  readonly created: boolean;
}

export interface Commands {
  /** @throws {PawlError} workflow_not_found, invalid_input, invalid_request, payload_too_large, run_conflict, unavailable */
  start(workflow: string, request?: StartRequest): Promise<Started>;
  /** @throws {PawlError} run_not_found */
  get(runId: string): Promise<RunView>;
  /** Ends the run at once; results of steps in flight are refused. Cancelling a cancelled run changes nothing. @throws {PawlError} run_not_found, status_conflict */
  cancel(runId: string): Promise<RunView>;
  /** No step begins until the run is resumed; steps in flight may end. @throws {PawlError} run_not_found, status_conflict */
  pause(runId: string): Promise<RunView>;
  /** Goes on with a paused run, or with one that was parked because its code was missing. @throws {PawlError} run_not_found, status_conflict */
  resume(runId: string): Promise<RunView>;
  /** Ends the run at once, also while it unwinds. @throws {PawlError} run_not_found, status_conflict */
  terminate(runId: string): Promise<RunView>;
  /**
   * Goes on with a run that failed, timed out or was cancelled: steps that succeeded keep their outputs, the others
   * begin again. @throws {PawlError} run_not_found, status_conflict
   */
  redrive(runId: string): Promise<RunView>;
  /**
   * Sends a signal to a run, once: its step takes it now, or when it begins to wait.
   *
   * @throws {PawlError} run_not_found, signal_not_found, invalid_payload, payload_too_large, signal_conflict,
   *   status_conflict
   */
  signal(runId: string, name: string, payload?: unknown): Promise<RunView>;
  workflows(): readonly Workflow[];
}

export function createCommands(options: { readonly workflows: readonly Workflow[]; readonly ports: Ports }): Commands {
  return new RunCommands(options.workflows, options.ports);
}

class RunCommands implements Commands {
  readonly #ports: Ports;
  readonly #definitions: Definitions;

  constructor(workflows: readonly Workflow[], ports: Ports) {
    this.#ports = ports;
    this.#definitions = new Definitions(workflows, ports.store);
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
    const { wanted, existing } = await startRun(this.#ports, {
      runId: parseRunId(request.runId) ?? random.id(),
      graph: workflow.graph,
      fingerprint: workflow.fingerprint,
      json,
      inputHash: hashPayload(json),
      keepGraph: () => this.#definitions.keep(workflow),
      ...(startAtMs === undefined ? {} : { startAtMs }),
      ...(request.tags === undefined ? {} : { tags: parseTags(request.tags) }),
    });
    if (existing !== undefined) return answerExisting(existing.run, wanted);
    return { runId: wanted.runId, status: wanted.status, created: true };
  }

  async get(runId: string): Promise<RunView> {
    const found = await this.#ports.store.load(runId);
    if (found === undefined) throw runNotFound(runId);
    const run = decodeRun(runId, found.fields);
    return viewRun(await this.#definitions.graph(run.workflow, run.fingerprint), run, found.payloads);
  }

  async cancel(runId: string): Promise<RunView> {
    return this.#operate(runId, "cancel", (run) => cancel(run, this.#ports.clock.now()));
  }

  async pause(runId: string): Promise<RunView> {
    return this.#operate(runId, "pause", (run) => pause(run, { code: "requested", message: "Paused on request." }));
  }

  async resume(runId: string): Promise<RunView> {
    const { graph } = await this.#read(runId);
    return this.#operate(runId, "resume", (run) => resume(graph, run, this.#ports.clock.now()));
  }

  async terminate(runId: string): Promise<RunView> {
    return this.#operate(runId, "terminate", (run) => terminate(run, this.#ports.clock.now()));
  }

  async redrive(runId: string): Promise<RunView> {
    const { graph, image } = await this.#read(runId);
    return this.#operate(runId, "redrive", (run) => {
      // Redriven since it was read: by this very request, if its answer was lost.
      if (run.epoch > image.run.epoch) return { kind: "already" };
      if (run.epoch < limits.redrives) return redrive(graph, run, this.#ports.clock.now());
      const message = `Run ${runId} has been redriven ${run.epoch} times, and ${limits.redrives} are allowed. Start a new run.`;
      throw new PawlError("status_conflict", message, { status: run.status });
    });
  }

  async signal(runId: string, name: string, payload?: unknown): Promise<RunView> {
    const { store, queue, clock, random } = this.#ports;
    const { image, graph } = await this.#read(runId);
    const { run, fields } = image;
    const index = graph.steps.findIndex((step) => step.kind === "signal" && step.id === name);
    if (index === -1) throw signalNotFound(graph, run, name);
    const code = this.#definitions.find(run.workflow)?.code.get(name);
    if (code?.kind !== "signal") {
      const message = `The code of workflow "${run.workflow}" has no signal "${name}" any more, so its payload cannot be checked. Deploy code that has it, then send the signal again.`;
      throw new PawlError("status_conflict", message, { status: run.status });
    }
    const json = await parsePayload(code.payload, payload, {
      code: "invalid_payload",
      what: "payload",
      name: `The payload of signal "${name}"`,
      none: `Signal "${name}" takes no payload; send it without one.`,
    });
    const id = random.id().slice(0, 10);
    const placed = placePayload(json, payloadKey.signal(index, id), fields, openSteps(graph, run.steps));
    const decide = (current: RunState): Transition | undefined => {
      const verdict = deliverSignal(graph, current, index, { id, payload: placed }, clock.now());
      if (verdict.kind === "refused") throw signalRefused(current, name, verdict.because);
      return verdict.kind === "write" ? verdict.transition : undefined;
    };
    decide(run);
    if ("key" in placed) await store.putPayload(runId, placed.key, json);
    await queue.send([nudge(graph, run, clock.now())]);
    const after = await change(store, image, decide);
    await advanceBecauseOf(this.#ports, graph, after, index);
    return this.get(runId);
  }

  /** The run and its graph, for what cannot be decided without it. */
  async #read(runId: string): Promise<{ readonly image: Image; readonly graph: Graph }> {
    const fields = await this.#ports.store.get(runId);
    if (fields === undefined) throw runNotFound(runId);
    const image = imageOf(runId, fields);
    const { workflow, fingerprint, pause: reason } = image.run;
    const graph = await this.#definitions.graph(workflow, fingerprint);
    if (graph !== undefined) return { image, graph };
    const message = `Run ${runId} cannot go on: ${reason?.message ?? `its graph ${fingerprint} is not there.`}`;
    throw new PawlError("status_conflict", message);
  }

  async #operate(runId: string, operation: string, decide: (run: RunState) => OperateVerdict): Promise<RunView> {
    const { store, queue, clock } = this.#ports;
    const fields = await store.get(runId);
    if (fields === undefined) throw runNotFound(runId);
    const image = imageOf(runId, fields);
    const graph = await this.#definitions.graph(image.run.workflow, image.run.fingerprint);
    const check = (run: RunState): OperateVerdict => {
      const verdict = decide(run);
      if (verdict.kind !== "refused") return verdict;
      const message = `Run ${runId} is ${verdict.status}; a run in that status cannot be changed by ${operation}.`;
      throw new PawlError("status_conflict", message, { status: verdict.status });
    };
    if (check(image.run).kind === "write") {
      if (graph !== undefined) await queue.send([nudge(graph, image.run, clock.now())]);
      const after: Image = await change(store, image, (run) => {
        const verdict = check(run);
        return verdict.kind === "write" ? verdict.transition : undefined;
      });
      if (graph !== undefined) await advanceAll(this.#ports, graph, after);
    }
    return this.get(runId);
  }

  #workflow(name: string): Workflow {
    const workflow = this.#definitions.find(name);
    if (workflow !== undefined) return workflow;
    const known = this.workflows().map((one) => one.name);
    const message = `There is no workflow "${name}". Known are: ${known.length === 0 ? "none" : known.join(", ")}.`;
    throw new PawlError("workflow_not_found", message, { known });
  }
}

function answerExisting(existing: RunState, wanted: RunState): Started {
  if (isSameStart(existing, wanted)) return { runId: existing.runId, status: existing.status, created: false };
  const what = existing.workflow === wanted.workflow ? "another input" : `another workflow, "${existing.workflow}"`;
  const message = `Run ${existing.runId} was started with ${what}. Use another runId, or the same workflow and input.`;
  throw new PawlError("run_conflict", message, { workflow: existing.workflow, status: existing.status });
}

function signalNotFound(graph: Graph, run: RunState, name: string): PawlError {
  const known = graph.steps.filter((step) => step.kind === "signal").map(({ id }) => id);
  const list = known.length === 0 ? "It takes none." : `It takes: ${known.join(", ")}.`;
  const message = `Run ${run.runId} of workflow "${run.workflow}" takes no signal ${JSON.stringify(name)}. ${list}`;
  return new PawlError("signal_not_found", message, { known });
}

function signalRefused(run: RunState, name: string, because: "delivered" | "step_ended" | "run_ended"): PawlError {
  if (because === "run_ended") {
    const message = `Run ${run.runId} is ${run.status}; it takes no signals any more.`;
    return new PawlError("status_conflict", message, { status: run.status });
  }
  const what = because === "delivered" ? "has been sent before" : "comes too late: its step has ended";
  return new PawlError("signal_conflict", `Signal "${name}" of run ${run.runId} ${what}. A signal counts once.`);
}

function runNotFound(runId: string): PawlError {
  return new PawlError("run_not_found", `There is no run ${JSON.stringify(runId)}.`);
}
