/** What people answer to steps that ask them. Armed and written as every change from outside (R5). */
import * as z from "zod";
import type { Graph } from "../definition/graph.ts";
import { serialize } from "../definition/json.ts";
import { nudge } from "../engine/due.ts";
import { answerInterrupt } from "../engine/interrupt.ts";
import { payloadKey } from "../engine/placement.ts";
import type { RunState } from "../engine/run-state.ts";
import type { Transition } from "../engine/transition.ts";
import { advanceBecauseOf } from "./effects.ts";
import { PawlError } from "./errors.ts";
import { change, type Image } from "./image.ts";
import type { Question } from "./interrupt.ts";
import type { Ports } from "./ports.ts";
import { checkPayload } from "./request.ts";
import { storedJson } from "./step-data.ts";

/** @throws {PawlError} interrupt_not_found, interrupt_conflict, invalid_payload, payload_too_large, status_conflict */
export async function giveAnswer(
  ports: Ports,
  graph: Graph,
  image: Image,
  questionId: string,
  answer: unknown,
): Promise<void> {
  const { store, queue, clock, random } = ports;
  const { run } = image;
  const questionKey = payloadKey.question(questionId);
  const stored = (await store.getPayloads(run.runId, [questionKey])).get(questionKey);
  if (stored === undefined) throw notFound(run, questionId);
  const json = await checkAnswer(storedJson(run, stored) as Question, answer);
  const id = random.id().slice(0, 10);
  const index = run.interrupts.findIndex((asked) => asked?.pending === questionId);
  const decide = (current: RunState): Transition | undefined => {
    const verdict = answerInterrupt(current, index, questionId, id, clock.now());
    if (verdict.kind === "refused") throw refused(current, questionId, verdict.because);
    return verdict.kind === "write" ? verdict.transition : undefined;
  };
  decide(run);
  await store.putPayload(run.runId, payloadKey.answer(id), json);
  await queue.send([nudge(graph, run, clock.now())]);
  await advanceBecauseOf(ports, graph, await change(store, image, decide), index);
}

/**
 * The answer as it came, as JSON: the code's own schema shapes it when the step goes on. What is checked here is that
 * schema as JSON Schema, as far as it can be told.
 */
async function checkAnswer({ schema }: Question, answer: unknown): Promise<string> {
  const check = zodSchemaOf(schema);
  const words = { code: "invalid_payload", what: "answer", name: "The answer", none: "" } as const;
  if (check !== undefined) await checkPayload(check, answer, words);
  const serialized = serialize(answer, "The answer");
  if (serialized.ok) return serialized.json;
  throw new PawlError(serialized.code === "too_large" ? "payload_too_large" : "invalid_payload", serialized.message);
}

/** The zod schema that such a JSON Schema stands for; `undefined` when it says what zod cannot check. */
function zodSchemaOf(jsonSchema: Readonly<Record<string, unknown>> | null): z.ZodType | undefined {
  if (jsonSchema === null) return undefined;
  try {
    return z.fromJSONSchema(jsonSchema);
  } catch {
    return undefined;
  }
}

function notFound(run: RunState, questionId: string): PawlError {
  const pending = run.interrupts.flatMap((asked) => (asked?.pending === undefined ? [] : [asked.pending]));
  const list = pending.length === 0 ? "It asks nothing." : `It asks: ${pending.join(", ")}.`;
  const message = `Run ${run.runId} has no interrupt ${JSON.stringify(questionId.slice(0, 100))}. ${list}`;
  return new PawlError("interrupt_not_found", message, { pending });
}

function refused(run: RunState, questionId: string, because: "not_pending" | "run_ended"): PawlError {
  if (because === "run_ended") {
    const message = `Run ${run.runId} is ${run.status}; it takes no answers any more.`;
    return new PawlError("status_conflict", message, { status: run.status });
  }
  const message = `Interrupt ${questionId} of run ${run.runId} is not open any more: it was answered, or is asked anew under another id.`;
  return new PawlError("interrupt_conflict", message);
}
