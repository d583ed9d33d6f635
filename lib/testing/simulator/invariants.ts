/** What must hold after every write (design: R1 to R9): this is the order, `*-checks.ts` says it part by part. */
import type { Rate } from "../../definition/flow.ts";
import { startsRun } from "../../definition/graph.ts";
import { isBarred, runIn } from "../../engine/barred.ts";
import { lifecycleEvent } from "../../engine/lifecycle.ts";
import { isRunId } from "../../engine/record-id.ts";
import { isTerminal } from "../../engine/run-state.ts";
import { decodeStep } from "../../engine/step-codec.ts";
import type { Fields } from "../../engine/transition.ts";
import { checkInterrupts, checkSignals, checkToken } from "./answer-checks.ts";
import { checkChildren, faultOfBar } from "./child-checks.ts";
import { faultOfDoubt } from "./doubt-checks.ts";
import type { Evidence } from "./evidence.ts";
import { faultOfExpiry } from "./expiry-checks.ts";
import { faultOfGate, faultOfTurn, RateLedger } from "./flow-checks.ts";
import { checkFork } from "./fork-checks.ts";
import { checkConcurrency } from "./map-checks.ts";
import { checkPayloads } from "./payload-checks.ts";
import { checkFence, checkStep } from "./step-checks.ts";
import { faultOfTime } from "./time-checks.ts";
import { checkUndos } from "./undo-checks.ts";
import { checkWaiters } from "./waiter-checks.ts";

export class Invariants {
  readonly #seen: Evidence;
  readonly #rates: RateLedger;

  /** @param rate the one that all rate-limited steps share */
  constructor(seen: Evidence, rate: Rate) {
    this.#seen = seen;
    this.#rates = new RateLedger(rate);
  }

  /** @param writer name of the process that wrote */
  written(id: string, before: Fields | undefined, after: Fields, writer: string): void {
    if (isRunId(id)) {
      this.#seen.assertNone(faultOfBar(before, after));
      if (!isBarred(after)) this.#runWritten(id, runIn(before), after, writer);
    } else this.#seen.assertNone(this.#faultOfShared(id, before, after));
  }

  /** Its code begins: of an attempt that is rate-limited. */
  limitedCodeBegins(): void {
    this.#seen.assertNone(this.#rates.codeBegan());
  }

  removed(runId: string, last: Fields): void {
    if (!isTerminal(this.#seen.decoded(runId, last).status))
      this.#seen.fail(`R2: ${runId} was removed and has not ended`);
  }

  #faultOfShared(id: string, before: Fields | undefined, after: Fields): string | undefined {
    if (id.startsWith("rate#")) return this.#rates.written(id, before, after);
    const limit = this.#seen.workflows.find(({ name }) => id.startsWith(`gate#${name}#`))?.concurrency?.limit;
    return limit === undefined ? `nobody knows ${id}` : faultOfGate(id, limit, before, after);
  }

  #runWritten(runId: string, before: Fields | undefined, after: Fields, writer: string): void {
    const seen = this.#seen;
    const was = before === undefined ? undefined : seen.decoded(runId, before);
    const is = seen.decoded(runId, after);
    const graph = seen.graphOf(is);
    const workflow = seen.workflows.find(({ name }) => name === is.workflow);
    const isRedrive = was !== undefined && is.epoch === was.epoch + 1;
    if (was !== undefined && isTerminal(was.status) && !isRedrive) seen.fail("R2: a terminal run changed");
    if (isRedrive && !isTerminal(was.status)) seen.fail("R2: an open run was redriven");
    seen.assertNone(faultOfExpiry(was, is));
    if (was !== undefined) seen.assertNone(faultOfTime(was, is, seen.nowMs(), seen.skewMs));
    this.#checkEvent(runId, before, after);
    if (is.status === "succeeded" || is.status === "failed") {
      // As it is stored: whoever reads the run takes what was cut off for ended.
      const left = graph.steps.findIndex((_, at) => decodeStep(String(after[`s${at}`] ?? ""))?.status === "running");
      if (left !== -1) seen.fail(`R2: the run is ${is.status} while step ${left} runs`);
    }
    // The part of a map goes on in the turn of its run.
    if (workflow !== undefined && graph.shard === undefined) seen.assertNone(faultOfTurn(seen, workflow, was, is));
    if (Object.values(after).some((value) => typeof value === "string" && value.includes("secret-")))
      seen.fail("the secret of a task token was stored");
    checkSignals(seen, was, is);
    checkInterrupts(seen, was, is);
    if (graph.shard !== undefined) checkConcurrency(seen, is, graph.shard.map);
    checkPayloads(seen, is);
    checkWaiters(seen, was, is);
    if (was === undefined && is.forkedFrom !== undefined) {
      checkFork(seen, graph, is, is.forkedFrom);
      return;
    }
    checkChildren(seen, graph, was, is, writer);
    graph.steps.forEach((step, index) => {
      checkStep(seen, graph, was, is, index, step.retry.maxAttempts);
      seen.assertNone(faultOfDoubt(seen, step, was, is, index));
      // A run that the step started, and whoever holds its token, ends the attempt from outside.
      const isAnswer = step.kind === "callback" && checkToken(seen, was, is, index);
      if (!isAnswer && !startsRun(step)) checkFence(seen, was?.steps[index], is.steps[index], index, writer);
      checkFence(seen, was?.undos[index], is.undos[index], index, writer);
    });
    checkUndos(seen, graph, was, is, isRedrive);
  }

  #checkEvent(runId: string, before: Fields | undefined, after: Fields): void {
    const event = lifecycleEvent(runId, before, after);
    if (event === undefined) return;
    if (this.#seen.eventIds.has(event.id)) this.#seen.fail(`R9: event id ${event.id} twice`);
    this.#seen.eventIds.add(event.id);
  }
}
