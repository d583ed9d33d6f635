/** What a redrive ends by hand: checked as the steps' own results would be, and recorded with who did it and why. */
import * as z from "zod";
import type { Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import type { MapCode, ShardCode } from "../definition/map.ts";
import type { StepCode } from "../definition/step.ts";
import type { Workflow } from "../definition/workflow.ts";
import { type ByHand, mayEndByHand, nothingByHand } from "../engine/by-hand.ts";
import { encodePayload, field } from "../engine/codec.ts";
import { payloadKey, placePayload } from "../engine/placement.ts";
import type { PayloadRef, RunState } from "../engine/run-state.ts";
import { codeOf } from "./code-of.ts";
import { PawlError } from "./errors.ts";
import type { Image } from "./image.ts";
import type { Ports } from "./ports.ts";
import { parsePayload } from "./request.ts";
import { openSteps } from "./step-data.ts";

export interface RedriveRequest {
  /** Outputs of steps that did not end well, by step id: the steps count as succeeded and are not repeated. */
  readonly set?: Readonly<Record<string, unknown>>;
  /** Ids of steps that did not end well: they count as skipped and are not repeated. Their output is `undefined`. */
  readonly skip?: readonly string[];
  /** Who says so; needed with `set` and `skip`, and kept with the steps. */
  readonly by?: string;
  /** Why; needed with `set` and `skip`, and kept with the steps. */
  readonly reason?: string;
}

/** Who ended a step by hand, and why. */
export interface ByHandRecord {
  readonly by: string;
  readonly reason: string;
  readonly atMs: number;
  readonly what: "set" | "skip";
}

interface Repair {
  readonly index: number;
  /** Absent: the step is skipped. */
  readonly json?: string;
}

/** A step as the request names it. */
type Named =
  | { readonly what: "set"; readonly stepId: string; readonly value: unknown }
  | { readonly what: "skip"; readonly stepId: string };

/** What is wrong with one part of a request. */
interface Fault {
  readonly at: string;
  readonly message: string;
}

/**
 * Checks the request and stores what the run is going to refer to.
 *
 * @throws {PawlError} invalid_request, with everything that is wrong with it
 */
export async function prepareRepairs(
  { store, clock, random }: Ports,
  workflow: Workflow | undefined,
  graph: Graph,
  { run, fields }: Image,
  request: RedriveRequest,
): Promise<ByHand> {
  const { repairs, by, reason } = await checkRequest(workflow, graph, run, request);
  if (repairs.length === 0) return nothingByHand;
  const id = random.id().slice(0, 10);
  const ends = new Map<number, { readonly id: string; readonly output?: PayloadRef }>();
  let planned = fields;
  for (const { index, json } of repairs) {
    const what = json === undefined ? "skip" : "set";
    const record: ByHandRecord = { by, reason, atMs: clock.now(), what };
    await store.putPayload(run.runId, payloadKey.byHand(index, id), JSON.stringify(record));
    if (json === undefined) {
      ends.set(index, { id });
      continue;
    }
    const key = payloadKey.output(index, id, run.steps[index]?.attempt ?? 0);
    const output = placePayload(json, key, planned, openSteps(graph, run.steps));
    if ("key" in output) await store.putPayload(run.runId, key, json);
    planned = { ...planned, [field.output(index)]: encodePayload(output) };
    ends.set(index, { id, output });
  }
  return ends;
}

async function checkRequest(
  workflow: Workflow | undefined,
  graph: Graph,
  run: RunState,
  request: RedriveRequest,
): Promise<{ readonly repairs: readonly Repair[]; readonly by: string; readonly reason: string }> {
  const { set = {}, skip = [], by = "", reason = "" } = request;
  const named: readonly Named[] = [
    ...Object.entries(set).map(([stepId, value]) => ({ what: "set" as const, stepId, value })),
    ...skip.map((stepId) => ({ what: "skip" as const, stepId })),
  ];
  const faults = checkSignature(request, named.length);
  const repairs: Repair[] = [];
  for (const [position, one] of named.slice(0, limits.settledPerWrite).entries()) {
    const index = graph.steps.findIndex((step) => step.id === one.stepId);
    const isFirst = named.findIndex(({ stepId }) => stepId === one.stepId) === position;
    const wrong = isFirst ? whyNot(graph, run, index) : "is named twice.";
    const at = `${one.what} ${JSON.stringify(one.stepId.slice(0, limits.nameLength))}`;
    if (wrong !== undefined) faults.push({ at, message: wrong });
    else if (one.what === "skip") repairs.push({ index });
    else {
      const step = graph.steps[index];
      const code = workflow === undefined || step === undefined ? undefined : codeOf(workflow, graph, step);
      const parsed = await parseOutput(code, one.stepId, one.value);
      if ("message" in parsed) faults.push({ at, message: parsed.message });
      else repairs.push({ index, json: parsed.json });
    }
  }
  if (faults.length === 0) return { repairs, by, reason };
  const list = faults.map(({ at, message }) => `${at}: ${message}`).join(" ");
  throw new PawlError("invalid_request", `Run ${run.runId} is not redriven. ${list}`, { faults });
}

/** What does not hang on a single step. */
function checkSignature({ by, reason }: RedriveRequest, steps: number): Fault[] {
  if (steps === 0 && by === undefined && reason === undefined) return [];
  const faults = [
    ...checkText("by", by ?? "", "by whom", limits.byLength),
    ...checkText("reason", reason ?? "", "why", limits.reasonLength),
  ];
  if (steps === 0) faults.push({ at: "by, reason", message: "are given, and no step is named in set or skip." });
  const most = limits.settledPerWrite;
  if (steps > most) faults.push({ at: "set, skip", message: `name ${steps} steps; at most ${most} are allowed.` });
  return faults;
}

function checkText(at: string, text: string, what: string, most: number): Fault[] {
  if (text.trim() !== "" && text.length <= most) return [];
  const seen = text.trim() === "" ? "is empty" : `has ${text.length} characters`;
  return [{ at, message: `${seen}; it says ${what} steps are ended by hand, in 1 to ${most} characters.` }];
}

/** Why the step cannot be ended by hand. */
function whyNot(graph: Graph, run: RunState, index: number): string | undefined {
  if (index === -1) return `is not a step of the run. It has: ${graph.steps.map(({ id }) => id).join(", ")}.`;
  if (mayEndByHand(run, index)) return undefined;
  if (run.signals[index]?.payload !== undefined) return "has its signal, which is kept for it: a redrive takes it.";
  const status = run.steps[index]?.status ?? "pending";
  return `is ${status}; only steps that failed, were cancelled or are unknown can be ended by hand.`;
}

/** Code without a schema may return anything that is JSON; a signal without one takes nothing, and a sleep has nothing. */
function schemaOf(code: Exclude<StepCode, MapCode | ShardCode>): z.ZodType | undefined {
  switch (code.kind) {
    case "step":
      return code.output ?? z.unknown();
    case "callback":
      return code.output;
    case "child":
      return z.unknown();
    case "signal":
      return code.payload;
    case "sleep":
      return undefined;
  }
}

async function parseOutput(
  code: StepCode | undefined,
  stepId: string,
  value: unknown,
): Promise<{ readonly json: string } | { readonly message: string }> {
  if (code === undefined) {
    return {
      message: "cannot be checked, because the code has no such step any more. Deploy code that has it, or skip it.",
    };
  }
  if (code.kind === "map" || code.kind === "shard") {
    return { message: "has the outputs of its items, which are in runs of their own. Skip it, or let it be repeated." };
  }
  try {
    const json = await parsePayload(schemaOf(code), value, {
      code: "invalid_payload",
      what: "output",
      name: `The output of "${stepId}"`,
      none: "has no output; set it to null, or skip it.",
    });
    return { json };
  } catch (error) {
    if (error instanceof PawlError) return { message: error.message };
    throw error;
  }
}
