/**
 * Turns among the runs of a concurrency key, over `engine/gate.ts`. Two records change, one after the other: the gate
 * says whose turn it is, then the run is told. Each of these may be done again by anyone, and changes nothing then.
 *
 * Invariants:
 * 1. Whoever changes a gate has a message that comes back until the run whose turn it is has been told (R5).
 * 2. A `false` asks for another look: others were faster each time, or there is more to hand on than one delivery does.
 */
import { limits } from "../definition/limits.ts";
import { StoredShapeError } from "../engine/field-reader.ts";
import {
  decodeEntry,
  decodeGate,
  type Entry,
  encodeEntry,
  enter,
  type Gate,
  gateTransition,
  handOn,
  isNewestNeeded,
  isSame,
  leave,
  ticketKey,
  told,
  withLimit,
} from "../engine/gate.ts";
import { pause } from "../engine/operate.ts";
import { recordId } from "../engine/record-id.ts";
import { isTerminal, type RunState } from "../engine/run-state.ts";
import { holdsSlot, takeSlot, takeTicket } from "../engine/slot.ts";
import { type Definitions, graphMissing } from "./definitions.ts";
import { advanceAll, tellWaiters } from "./effects.ts";
import { PawlError } from "./errors.ts";
import { change, type Image, imageOf } from "./image.ts";
import type { Ports } from "./ports.ts";
import { settleAll } from "./settle-all.ts";

export class Slots {
  readonly #ports: Ports;
  readonly #definitions: Definitions;

  constructor(ports: Ports, definitions: Definitions) {
    this.#ports = ports;
    this.#definitions = definitions;
  }

  /** Asks for the run's slot, or gives it back when the run has ended; then hands on what is free. */
  async settle({ run }: Image): Promise<boolean> {
    const { slot } = run;
    if (slot === undefined) return true;
    if (slot.status === "held" && isTerminal(run.status)) return this.leave(run);
    const asks = slot.status === "wanted" && slot.ticket === undefined && !isTerminal(run.status);
    // Whoever came here before may have died between the gate and the run: also a run that asks for nothing looks.
    return asks ? this.#enter(run, slot.key) : this.#handOnFrom(run.workflow, await this.#read(run.workflow, slot.key));
  }

  /** Gives back the slot of a run that has ended. */
  async leave({ workflow, status, slot }: RunState): Promise<boolean> {
    if (slot?.status !== "held" || !isTerminal(status)) return true;
    const gate = await this.#read(workflow, slot.key);
    return this.#handOnFrom(workflow, await this.#change(workflow, gate, (current) => leave(current, slot.ticket)));
  }

  /** Takes back what runs hold that have ended, and whose message about it is lost; then hands on what is free. */
  async recover({ run: { workflow, slot } }: Image): Promise<boolean> {
    if (slot === undefined) return true;
    const gate = await this.#read(workflow, slot.key);
    const lost = new Set<number>();
    for (let from = 0; from < gate.holders.length; from += limits.auditReads) {
      const some = gate.holders.slice(from, from + limits.auditReads);
      const areLost = await settleAll(some.map((ticket) => this.#isLost(gate, ticket)));
      for (const [index, ticket] of some.entries()) if (areLost[index] === true) lost.add(ticket);
    }
    const left = await this.#change(workflow, gate, (current) => [...lost].reduce(leave, current));
    return this.#handOnFrom(workflow, left);
  }

  /** Whether nobody holds the slot of this ticket any more. Whose turn it is just now may not know yet. */
  async #isLost(gate: Gate, ticket: number): Promise<boolean> {
    if (gate.telling === ticket) return false;
    const entry = await this.#findEntry(gate, ticket);
    // Nobody can tell: better a slot too few than one too many.
    if (entry === undefined) return false;
    const fields = await this.#ports.store.get(entry.runId);
    if (fields === undefined) return true;
    const { run } = imageOf(entry.runId, fields);
    return isTerminal(run.status) || !holdsSlot(run, entry, ticket);
  }

  /** How many asked before this run and have not had their turn; `undefined` when it does not wait, or has not asked. */
  async ahead({ workflow, slot }: RunState): Promise<number | undefined> {
    if (slot?.status !== "wanted" || slot.ticket === undefined) return undefined;
    const { passed } = await this.#read(workflow, slot.key);
    return Math.max(0, slot.ticket - passed - 1);
  }

  async #enter(run: RunState, key: string): Promise<boolean> {
    const entry: Entry = { runId: run.runId, epoch: run.epoch };
    const read = await this.#read(run.workflow, key);
    const gate = await this.#change(run.workflow, read, (current) => enter(current, entry));
    if (gate === undefined) return false;
    // When it is its turn already, the run is told so instead.
    if (isSame(gate.newest, entry) && gate.passed < gate.tickets) await this.#keepTicket(entry, gate.tickets);
    return this.#handOnFrom(run.workflow, gate);
  }

  async #keepTicket({ runId, epoch }: Entry, ticket: number): Promise<void> {
    const fields = await this.#ports.store.get(runId);
    if (fields === undefined) return;
    await change(this.#ports.store, imageOf(runId, fields), (run) => takeTicket(run, epoch, ticket));
  }

  /** Tells runs that it is their turn, until nobody is left whose turn it is. */
  async #handOnFrom(workflow: string, start: Gate | undefined): Promise<boolean> {
    let gate = start;
    for (let count = 0; count < limits.slotsPerDelivery; count++) {
      if (gate?.telling === undefined) gate = gate && (await this.#change(workflow, gate, handOn));
      if (gate?.telling === undefined) return gate !== undefined;
      const ticket = gate.telling;
      const answer = await this.#tell(await this.#entryOf(gate, ticket), ticket);
      gate = await this.#change(workflow, gate, (current) => told(current, ticket, answer));
    }
    return false;
  }

  /** What the run waited for is sent before it counts as told: the next who looks does not send it again. */
  async #tell(entry: Entry, ticket: number): Promise<"taken" | "void"> {
    const { store, clock, logger } = this.#ports;
    try {
      const fields = await store.get(entry.runId);
      if (fields === undefined) return "void";
      const after = await change(store, imageOf(entry.runId, fields), (run) =>
        takeSlot(run, entry.epoch, ticket, clock.now()),
      );
      if (!holdsSlot(after.run, entry, ticket)) return "void";
      if (!isTerminal(after.run.status)) await this.#begin(after);
      return "taken";
    } catch (error) {
      if (!(error instanceof StoredShapeError)) throw error;
      // Nobody may change such a run, and the others must not wait for it.
      logger.error("a run whose turn it is cannot be read; the next one follows", { error, runId: entry.runId });
      return "void";
    }
  }

  async #begin(image: Image): Promise<void> {
    const { workflow, fingerprint } = image.run;
    const graph = await this.#definitions.graph(workflow, fingerprint);
    if (graph !== undefined) {
      await advanceAll(this.#ports, graph, image);
      return;
    }
    const reason = graphMissing(workflow, fingerprint);
    const parked = await change(this.#ports.store, image, (run) => {
      const verdict = pause(run, reason);
      return verdict.kind === "write" ? verdict.transition : undefined;
    });
    await tellWaiters(this.#ports, parked.run);
  }

  async #entryOf(gate: Gate, ticket: number): Promise<Entry> {
    const entry = await this.#findEntry(gate, ticket);
    if (entry !== undefined) return entry;
    throw new Error(`Gate ${gate.id} refers to ticket ${ticket}, which is not in the store.`);
  }

  async #findEntry(gate: Gate, ticket: number): Promise<Entry | undefined> {
    if (ticket === gate.tickets && gate.newest !== undefined) return gate.newest;
    const key = ticketKey(ticket);
    const text = (await this.#ports.store.getPayloads(gate.id, [key])).get(key);
    return text === undefined ? undefined : decodeEntry(text);
  }

  async #read(workflow: string, key: string): Promise<Gate> {
    const id = recordId.gate(workflow, key);
    return decodeGate(id, this.#limit(workflow) ?? 1, await this.#ports.store.get(id));
  }

  /** A worker that lacks the workflow goes by the limit that others left at the gate. */
  #limit(workflow: string): number | undefined {
    return this.#definitions.find(workflow)?.concurrency?.limit;
  }

  /** The gate after `decide`, and after what a changed limit hands on; `undefined` when others were faster each time. */
  async #change(workflow: string, gate: Gate, decide: (gate: Gate) => Gate): Promise<Gate | undefined> {
    const { store } = this.#ports;
    let current = gate;
    for (let tries = 0; tries < limits.decisionTries; tries++) {
      const next = decide(withLimit(current, this.#limit(workflow)));
      if (next === current) return current;
      if (next.tickets > current.tickets) await this.#keepNewest(current);
      const result = await store.update(gate.id, gateTransition(current, next));
      current = decodeGate(gate.id, current.limit, result.fields);
      if (result.applied) return current;
    }
    return undefined;
  }

  /** Before the next ticket is given out, so that each one that waits can be found by its number. */
  async #keepNewest(gate: Gate): Promise<void> {
    if (gate.newest === undefined || !isNewestNeeded(gate)) return;
    await this.#ports.store.putPayload(gate.id, ticketKey(gate.tickets), encodeEntry(gate.newest));
  }
}

/** The run's turn is not given back, and nothing else has been done. */
export function gateIsBusy(runId: string): PawlError {
  const message = `Run ${runId} could not give back its turn: too many runs ask for theirs at the same time. Try again.`;
  return new PawlError("unavailable", message);
}
