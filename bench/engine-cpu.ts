/** What a step takes of a processor when nothing is read or written: its decisions alone, and the worker around them. */
import process from "node:process";
import { claim } from "../lib/engine/claim.ts";
import { decodeRun } from "../lib/engine/codec.ts";
import { commit } from "../lib/engine/commit.ts";
import { due, dueBecauseOf } from "../lib/engine/due.ts";
import type { Message, OutgoingMessage } from "../lib/engine/message.ts";
import { payloadKey, placePayload } from "../lib/engine/placement.ts";
import { settle } from "../lib/engine/settle.ts";
import { create, newRun } from "../lib/engine/start.ts";
import { applyTransition, type Fields } from "../lib/engine/transition.ts";
import type { Ports, RunStore } from "../lib/runtime/ports.ts";
import { systemClock, systemRandomness } from "../lib/runtime/system.ts";
import { createWorker } from "../lib/runtime/worker.ts";
import { silent } from "../lib/testing/silent.ts";
import { chainOf } from "./chain.ts";
import type { Measured } from "./report.ts";
import { median, rounded } from "./statistics.ts";

const steps = 10;
const runsPerRound = 1_000;
const rounds = 9;
const target = { atMost: 60 };
const output = "x".repeat(18);
const chain = chainOf(steps, () => output);
const { graph, fingerprint } = chain;

/** Both in turn, so that whatever else the machine does meets both. */
export async function measureEngineCpu(): Promise<Measured> {
  const worker = new WorkerInMemory();
  const samples: { readonly decisions: number[]; readonly worker: number[] } = { decisions: [], worker: [] };
  for (let round = 0; round <= rounds; round++) {
    const decisions = await cpuUsPerStep(async () => playDecisions());
    const whole = await cpuUsPerStep(() => worker.play());
    // The first of each is compiled while it runs.
    if (round === 0) continue;
    samples.decisions.push(decisions);
    samples.worker.push(whole);
  }
  return {
    title: "Processor time of a step, without any input or output",
    notes: [
      `Chains of ten steps; median of ${rounds} rounds of ${runsPerRound} runs, start included, by the time that the whole process used.`,
      "Decisions: for each step, all that lib/engine does for it, which is two transitions made and applied, two records decoded, the settling, the placing of its output and the messages that are due, encoded and decoded.",
      "Worker: the same by the real worker, which also parses, logs, keeps a lease and calls the code, on a store and a queue that are a Map and a list.",
    ],
    figures: [
      { name: "decisions and codec, for a step", value: rounded(median(samples.decisions)), unit: "µs", target },
      { name: "the whole worker, for a step", value: rounded(median(samples.worker)), unit: "µs", target },
    ],
    details: samples,
  };
}

async function cpuUsPerStep(playRun: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  for (let run = 0; run < runsPerRound; run++) await playRun();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (runsPerRound * steps);
}

const newChain = { fingerprint, input: { json: "" }, inputHash: "0123456789abcdef" };
const outputJson = JSON.stringify(output);

/** One run, as `lib/runtime` has it decided; what would be sent goes through JSON, as it would. */
function playDecisions(): void {
  const nowMs = Date.now();
  const first = newRun(graph, { ...newChain, runId: "run-1" }, nowMs);
  let queue = sent(due(graph, first, nowMs));
  let fields = written(create(first), undefined);
  for (let message = queue.shift(); message !== undefined; message = queue.shift()) {
    if (message.kind !== "step") throw new Error(`A chain has no message ${message.kind}.`);
    const { step, attempt } = message;
    const owner = `worker-${step}`;
    const by = { owner, nowMs, isOwnerGone: () => false, fraction: 0.5 };
    fields = written(claim(message, by), fields);
    const claimed = decodeRun("run-1", fields);
    const placed = placePayload(outputJson, payloadKey.output(step, 0, attempt), fields, steps - step);
    const verdict = commit(
      graph,
      claimed,
      { track: "step", step, attempt, owner },
      { kind: "succeeded", output: placed },
      nowMs,
    );
    if (verdict.kind !== "write") throw new Error(`The commit of step ${step} was ${verdict.kind}.`);
    fields = written(verdict.transition, fields);
    const committed = decodeRun("run-1", fields);
    const settled = settle(graph, committed, nowMs);
    queue = sent(dueBecauseOf(graph, settled, step, nowMs, "step", claimed.status));
  }
  if (decodeRun("run-1", fields).status !== "succeeded") throw new Error("The chain did not end.");
}

function written(...[transition, before]: Parameters<typeof applyTransition>): Fields {
  const after = applyTransition(transition, before);
  if (after === undefined) throw new Error(`A write was refused: ${JSON.stringify(transition)}`);
  return after;
}

function sent(messages: readonly OutgoingMessage[]): Message[] {
  return messages.map(({ message }) => JSON.parse(JSON.stringify(message)) as Message);
}

/** The worker, on ports that do nothing but what they must. */
class WorkerInMemory {
  readonly #runs = new Map<string, Fields>();
  readonly #sent: string[] = [];
  readonly #ports: Ports = {
    store: storeOf(this.#runs),
    queue: {
      send: async (messages) => {
        for (const { message } of messages) this.#sent.push(JSON.stringify(message));
      },
    },
    clock: systemClock(),
    random: systemRandomness,
    logger: silent,
  };
  readonly #worker = createWorker({ workflows: [chain], ports: this.#ports });

  /** One run. */
  async play(): Promise<void> {
    const { queue, clock } = this.#ports;
    const nowMs = clock.now();
    const run = newRun(graph, { ...newChain, runId: "run-1" }, nowMs);
    await queue.send(due(graph, run, nowMs));
    this.#runs.set("run-1", written(create(run), undefined));
    for (let body = this.#sent.shift(); body !== undefined; body = this.#sent.shift()) {
      const delivery = { body: JSON.parse(body) as unknown, receiveCount: 1, extend: async () => undefined };
      const { kind } = await this.#worker.handle(delivery);
      if (kind !== "acknowledge") throw new Error(`A message was not done: ${kind}`);
    }
    const { status } = decodeRun("run-1", this.#runs.get("run-1") ?? {});
    if (status !== "succeeded") throw new Error(`The chain is ${status}.`);
  }
}

function storeOf(runs: Map<string, Fields>): RunStore {
  const unused = async (): Promise<never> => {
    throw new Error("A chain of small outputs asks for nothing but its run's record.");
  };
  return {
    async update(runId, transition) {
      const before = runs.get(runId);
      const fields = applyTransition(transition, before);
      if (fields === undefined) return { applied: false, fields: before };
      runs.set(runId, fields);
      return { applied: true, fields };
    },
    get: async (runId) => runs.get(runId),
    putGraph: async () => undefined,
    remove: unused,
    removeRest: unused,
    load: unused,
    putPayload: unused,
    getPayloads: unused,
    getGraph: unused,
  };
}
