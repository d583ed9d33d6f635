/** Sends a signal to a run, once: its step takes it now, or when it begins to wait. */
import type { Graph } from "../definition/graph.ts";
import type { Workflow } from "../definition/workflow.ts";
import { nudge } from "../engine/due.ts";
import { type Mark, onceMarked } from "../engine/operate.ts";
import { payloadKey, placePayload } from "../engine/placement.ts";
import type { RunState } from "../engine/run-state.ts";
import type { Transition } from "../engine/transition.ts";
import { deliverSignal, type SignalVerdict } from "../engine/waiting.ts";
import { type Acted, actedBy } from "./acting.ts";
import { advanceBecauseOf } from "./effects.ts";
import { PawlError } from "./errors.ts";
import { change, type Image } from "./image.ts";
import type { Ports } from "./ports.ts";
import { parsePayload } from "./request.ts";
import { openSteps } from "./step-data.ts";

export interface SignalRequest {
  readonly name: string;
  readonly payload: unknown;
  /** Of a bulk operation. */
  readonly mark?: Mark | undefined;
}

/** @throws {PawlError} signal_not_found, invalid_payload, payload_too_large, signal_conflict, status_conflict */
export async function sendSignal(
  ports: Ports,
  workflow: Workflow | undefined,
  { graph, image }: { readonly graph: Graph; readonly image: Image },
  { name, payload, mark }: SignalRequest,
): Promise<Acted> {
  const { store, queue, clock, random } = ports;
  const { run, fields } = image;
  const index = graph.steps.findIndex((step) => step.kind === "signal" && step.id === name);
  if (index === -1) throw notFound(graph, run, name);
  const json = await parseSignal(workflow, run, name, payload);
  const id = random.id().slice(0, 10);
  const placed = placePayload(json, payloadKey.signal(index, id), fields, openSteps(graph, run.steps));
  const deliver = (to: RunState): SignalVerdict =>
    deliverSignal(graph, to, index, { id, payload: placed }, clock.now());
  let kind = "";
  const decide = (current: RunState): Transition | undefined => {
    const verdict = mark === undefined ? deliver(current) : onceMarked(current, mark, deliver);
    if (verdict.kind === "refused") throw refused(current, name, verdict.because);
    kind = verdict.kind;
    return verdict.kind === "write" ? verdict.transition : undefined;
  };
  if (decide(run) === undefined && mark !== undefined) return actedBy(kind);
  if ("key" in placed) await store.putPayload(run.runId, placed.key, json);
  await queue.send([nudge(graph, run, clock.now())]);
  const after = await change(store, image, decide);
  if (kind !== "changed") await advanceBecauseOf(ports, graph, after, index);
  return actedBy(kind);
}

async function parseSignal(
  workflow: Workflow | undefined,
  run: RunState,
  name: string,
  payload: unknown,
): ReturnType<typeof parsePayload> {
  const code = workflow?.code.get(name);
  if (code?.kind === "signal") {
    return parsePayload(code.payload, payload, {
      code: "invalid_payload",
      what: "payload",
      name: `The payload of signal "${name}"`,
      none: `Signal "${name}" takes no payload; send it without one.`,
    });
  }
  const message = `The code of workflow "${run.workflow}" has no signal "${name}" any more, so its payload cannot be checked. Deploy code that has it, then send the signal again.`;
  throw new PawlError("status_conflict", message, { status: run.status });
}

function notFound(graph: Graph, run: RunState, name: string): PawlError {
  const known = graph.steps.filter((step) => step.kind === "signal").map(({ id }) => id);
  const list = known.length === 0 ? "It takes none." : `It takes: ${known.join(", ")}.`;
  const message = `Run ${run.runId} of workflow "${run.workflow}" takes no signal ${JSON.stringify(name)}. ${list}`;
  return new PawlError("signal_not_found", message, { known });
}

function refused(run: RunState, name: string, because: "delivered" | "step_ended" | "run_ended"): PawlError {
  if (because === "run_ended") {
    const message = `Run ${run.runId} is ${run.status}; it takes no signals any more.`;
    return new PawlError("status_conflict", message, { status: run.status });
  }
  const what = because === "delivered" ? "has been sent before" : "comes too late: its step has ended";
  return new PawlError("signal_conflict", `Signal "${name}" of run ${run.runId} ${what}. A signal counts once.`);
}
