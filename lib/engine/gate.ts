/**
 * Whose turn it is among the runs of one concurrency key. A gate is a small record of its own beside the runs, changed
 * by transitions only (R1). It gives out numbered tickets and hands slots on in their order; which run a ticket belongs
 * to is kept beside it, so that the record stays small however many wait.
 *
 * Invariants:
 * 1. Slots are handed on in the order of the tickets: every ticket up to `passed` has had its turn, none after it has.
 * 2. At most `limit` tickets hold a slot, or as many as did when the limit was lowered.
 * 3. A slot is handed on only after the run that was given the last one has been told (`telling`): whoever dies
 *    between giving and telling leaves that to the next who looks.
 * 4. A ticket can come to nothing (its run has ended, or has had its turn by another ticket): its slot goes on.
 */
import { otherVersion, StoredShapeError, shown } from "./field-reader.ts";
import type { Condition, Fields, Transition } from "./transition.ts";

/** The run that a ticket belongs to. A redriven run is another one here: tickets of its former epochs come to nothing. */
export interface Entry {
  readonly runId: string;
  readonly epoch: number;
}

export interface Gate {
  readonly id: string;
  /** The last that was known; the code's own counts where it is there. */
  readonly limit: number;
  /** Number of the last ticket that was given out. */
  readonly tickets: number;
  /** Whose it is. Those of the tickets before are kept beside the gate. */
  readonly newest?: Entry;
  /** The last ticket that has had its turn. */
  readonly passed: number;
  /** A ticket that was given a slot, and whose run may not know yet. */
  readonly telling?: number;
  /** Tickets that hold a slot, in order. */
  readonly holders: readonly number[];
}

/** Adds the run to the end of the queue. For the run that came last it changes nothing: a write whose answer was lost. */
export function enter(gate: Gate, entry: Entry): Gate {
  if (isSame(gate.newest, entry)) return gate;
  return handOn({ ...gate, tickets: gate.tickets + 1, newest: entry });
}

/** Gives the slot back. Again, it changes nothing. */
export function leave(gate: Gate, ticket: number): Gate {
  if (!gate.holders.includes(ticket)) return gate;
  return handOn({ ...gate, holders: gate.holders.filter((one) => one !== ticket) });
}

/** The run of the ticket has been told, and everything it waits for was sent; or there is no such run any more. */
export function told(gate: Gate, ticket: number, answer: "taken" | "void"): Gate {
  if (gate.telling !== ticket) return gate;
  const { telling: _telling, ...rest } = gate;
  return handOn(answer === "taken" ? rest : leave(rest, ticket));
}

export function withLimit(gate: Gate, limit: number | undefined): Gate {
  return limit === undefined || limit === gate.limit ? gate : handOn({ ...gate, limit });
}

/**
 * Gives a free slot to the next ticket. Every change of a gate ends with it, so that one write takes a slot back and
 * hands it on; and the image that a write brings is looked at again, as slots may have come back beside it.
 */
export function handOn(gate: Gate): Gate {
  const { limit, tickets, passed, telling, holders } = gate;
  if (telling !== undefined || passed === tickets || holders.length >= limit) return gate;
  return { ...gate, passed: passed + 1, telling: passed + 1, holders: [...holders, passed + 1] };
}

/** Whether somebody may have to ask whose the newest ticket is when it is no longer the newest: it waits, or holds a slot. */
export function isNewestNeeded(gate: Gate): boolean {
  return gate.tickets > gate.passed || gate.holders.includes(gate.tickets);
}

export function isSame(one: Entry | undefined, other: Entry): boolean {
  return one?.runId === other.runId && one.epoch === other.epoch;
}

/** Key of the payload that tells whose ticket it is. */
export function ticketKey(ticket: number): string {
  return `t#${ticket}`;
}

/**
 * | field | holds | | field | holds |
 * |---|---|---|---|---|
 * | `v` | version of this shape | | `p`, `g` | ticket passed last, ticket to be told |
 * | `m` | limit | | `h1`, `h2` … | ticket that holds a slot |
 * | `t`, `e` | tickets, newest entry | | | |
 */
const gateField = {
  schema: "v",
  limit: "m",
  tickets: "t",
  newest: "e",
  passed: "p",
  telling: "g",
  holder: (ticket: number): string => `h${ticket}`,
} as const;

const gateSchema = 1;

/** A gate that nobody has come to yet is not stored. */
export function decodeGate(id: string, limit: number, fields: Fields | undefined): Gate {
  if (fields === undefined) return { id, limit, tickets: 0, passed: 0, holders: [] };
  const { v, m, t, e, p, g } = fields;
  const newest = e === undefined ? undefined : decodeEntry(String(e));
  const isWhole = v === gateSchema && [m, t, p, g ?? 0].every((value) => typeof value === "number");
  if (!isWhole)
    throw new StoredShapeError(
      `Gate ${id}`,
      v === gateSchema ? `it is stored as ${shown(fields)}` : otherVersion(v, gateSchema),
    );
  return {
    id,
    limit: Number(m),
    tickets: Number(t),
    ...(newest === undefined ? {} : { newest }),
    passed: Number(p),
    ...(g === undefined ? {} : { telling: Number(g) }),
    holders: Object.keys(fields)
      .filter((name) => /^h\d+$/.test(name))
      .map((name) => Number(name.slice(1)))
      .sort((one, other) => one - other),
  };
}

/**
 * The one conditional write from a gate to the next. It relies on the queue as it was; not on the holders, as beside it
 * slots can only come back: a new one comes with a change of the queue.
 */
export function gateTransition(gate: Gate, next: Gate): Transition {
  const { tickets, newest, passed, telling, limit } = next;
  const left = gate.holders.filter((ticket) => !next.holders.includes(ticket));
  const came = next.holders.filter((ticket) => !gate.holders.includes(ticket));
  const guard: Condition[] = [
    gate.tickets === 0 ? absent(gateField.tickets) : equal(gateField.tickets, gate.tickets),
    gate.tickets === 0 ? absent(gateField.passed) : equal(gateField.passed, gate.passed),
    gate.telling === undefined ? absent(gateField.telling) : equal(gateField.telling, gate.telling),
  ];
  const set: Record<string, string | number> = {
    [gateField.schema]: gateSchema,
    [gateField.limit]: limit,
    [gateField.tickets]: tickets,
    [gateField.passed]: passed,
  };
  if (newest !== undefined) set[gateField.newest] = encodeEntry(newest);
  if (telling !== undefined) set[gateField.telling] = telling;
  for (const ticket of came) set[gateField.holder(ticket)] = 1;
  const remove = left.map((ticket) => gateField.holder(ticket));
  if (gate.telling !== undefined && telling === undefined) remove.push(gateField.telling);
  return { guard, set, ...(remove.length === 0 ? {} : { remove }) };
}

function absent(name: string): Condition {
  return { field: name, is: "absent" };
}

function equal(name: string, value: number): Condition {
  return { field: name, is: "equal", value };
}

/** `<epoch>.<run id>` */
export function encodeEntry({ runId, epoch }: Entry): string {
  return `${epoch}.${runId}`;
}

export function decodeEntry(text: string): Entry {
  const dot = text.indexOf(".");
  return { epoch: Number(text.slice(0, dot)), runId: text.slice(dot + 1) };
}
