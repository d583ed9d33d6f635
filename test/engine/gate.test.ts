// Hunts: a slot that is given out of turn, twice or beyond the limit, and a write that relies on less than it decided on.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
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
  leave,
  told,
  withLimit,
} from "../../lib/engine/gate.ts";
import { applyTransition, type Fields } from "../../lib/engine/transition.ts";

const id = "gate#import#acme";
const empty: Gate = { id, limit: 2, tickets: 0, passed: 0, holders: [] };
const entry = (runId: string, epoch = 0): Entry => ({ runId, epoch });

/** The gate after so many runs have come and each that could was told of its turn. */
function gateWith(runs: number, limit: number): Gate {
  let gate: Gate = { ...empty, limit };
  for (let index = 1; index <= runs; index++) gate = tell(enter(gate, entry(`r${index}`)));
  return gate;
}

function tell(gate: Gate): Gate {
  return gate.telling === undefined ? gate : tell(told(gate, gate.telling, "taken"));
}

describe("a gate", () => {
  test("gives a free slot to whoever comes, in the same write", () => {
    expect(enter(empty, entry("a"))).toEqual({
      ...empty,
      tickets: 1,
      newest: entry("a"),
      passed: 1,
      telling: 1,
      holders: [1],
    });
  });

  test("gives out only a ticket when no slot is free, or when somebody has to be told first", () => {
    expect(enter(gateWith(2, 2), entry("c"))).toMatchObject({ tickets: 3, passed: 2, holders: [1, 2] });
    const untold = enter(empty, entry("a"));
    expect(enter(untold, entry("b"))).toMatchObject({ tickets: 2, passed: 1, telling: 1, holders: [1] });
  });

  test("knows whoever came last again, but not in another epoch", () => {
    const gate = gateWith(3, 2);
    expect(enter(gate, entry("r3"))).toBe(gate);
    expect(enter(gate, entry("r3", 1)).tickets).toBe(4);
  });

  test("hands a slot that comes back to the next ticket, in the same write", () => {
    expect(leave(gateWith(4, 2), 1)).toMatchObject({ passed: 3, telling: 3, holders: [2, 3] });
  });

  test("takes a slot back once", () => {
    const gate = gateWith(4, 2);
    expect(leave(gate, 7)).toBe(gate);
    const left = tell(leave(gate, 1));
    expect(leave(left, 1)).toBe(left);
  });

  test("hands on what came back while a run was being told", () => {
    const gate = leave(leave(gateWith(5, 2), 1), 2);
    expect(gate).toMatchObject({ telling: 3, holders: [3] });
    expect(told(gate, 3, "taken")).toMatchObject({ telling: 4, holders: [3, 4] });
    expect(told(gate, 3, "void")).toMatchObject({ telling: 4, holders: [4] });
    expect(told(gate, 4, "taken")).toBe(gate);
  });

  test("goes by a limit that was raised at once, and by one that was lowered as slots come back", () => {
    expect(withLimit(gateWith(4, 2), 3)).toMatchObject({ limit: 3, telling: 3, holders: [1, 2, 3] });
    const lowered = withLimit(gateWith(4, 2), 1);
    expect(leave(lowered, 1)).toMatchObject({ holders: [2], passed: 2 });
    expect(leave(leave(lowered, 1), 2)).toMatchObject({ holders: [3] });
    const same = gateWith(4, 2);
    expect(withLimit(same, undefined)).toBe(same);
  });

  test("keeps whose the newest ticket is while it may still be asked for", () => {
    expect(isNewestNeeded(gateWith(2, 2))).toBe(true);
    expect(isNewestNeeded(leave(gateWith(2, 2), 2))).toBe(false);
    expect(isNewestNeeded(gateWith(3, 2))).toBe(true);
    expect(isNewestNeeded(enter(empty, entry("a")))).toBe(true);
  });

  test("is refused in a shape that this version does not know", () => {
    expect(() => decodeGate(id, 2, { v: 2, m: 1, t: 1, p: 1 })).toThrow(
      "Gate gate#import#acme cannot be read: its shape has version 2, and this version of Pawl knows 1.",
    );
    expect(() => decodeGate(id, 2, { v: 1, m: 1, t: "1", p: 1 })).toThrow(
      'Gate gate#import#acme cannot be read: it is stored as {"v":1,"m":1,"t":"1","p":1}.',
    );
  });
});

const move = fc.oneof(
  fc.record({ kind: fc.constant("enter" as const) }),
  fc.record({ kind: fc.constant("again" as const) }),
  fc.record({ kind: fc.constant("leave" as const), at: fc.nat(20) }),
  fc.record({ kind: fc.constant("told" as const), answer: fc.constantFrom("taken" as const, "void" as const) }),
  fc.record({ kind: fc.constant("limit" as const), limit: fc.integer({ min: 1, max: 4 }) }),
);

/** Every gate on the way, with what made it from the one before. */
function play(moves: readonly (typeof move extends fc.Arbitrary<infer Move> ? Move : never)[]): Gate[] {
  const gates = [empty];
  let made = 0;
  for (const one of moves) {
    const gate = gates.at(-1) ?? empty;
    if (one.kind === "enter") gates.push(enter(gate, entry(`r${++made}`)));
    else if (one.kind === "again") gates.push(enter(gate, gate.newest ?? entry("first")));
    else if (one.kind === "leave") gates.push(leave(gate, gate.holders[one.at % gate.holders.length] ?? 99));
    else if (one.kind === "told") gates.push(told(gate, gate.telling ?? 99, one.answer));
    // Nobody keeps the limit of a gate that nobody has come to.
    else if (gate.tickets > 0) gates.push(withLimit(gate, one.limit));
  }
  return gates;
}

const gates = fc.array(move, { maxLength: 30, size: "max" }).map(play);

describe("whatever happens at a gate", () => {
  test("slots go on in the order of the tickets, never beyond the limit, and none stays free while somebody waits", () => {
    fc.assert(
      fc.property(gates, (all) => {
        all.forEach((gate, at) => {
          const before = all[at - 1] ?? empty;
          const came = gate.holders.filter((ticket) => !before.holders.includes(ticket));
          expect(came).toEqual(gate.passed > before.passed ? [before.passed + 1] : []);
          if (came.length > 0) expect(gate.holders.length).toBeLessThanOrEqual(gate.limit);
          const isFree = gate.holders.length < gate.limit && gate.passed < gate.tickets;
          expect(isFree && gate.telling === undefined).toBe(false);
          expect(handOn(gate)).toBe(gate);
        });
      }),
    );
  });

  test("it is read as it was written, and a write is refused by every gate that would decide otherwise", () => {
    fc.assert(
      fc.property(gates, (all) => {
        let fields: Fields | undefined;
        all.slice(1).forEach((gate, at) => {
          const before = all[at] ?? empty;
          if (gate === before) return;
          const transition = gateTransition(before, gate);
          const after = applyTransition(transition, fields);
          expect(after && decodeGate(id, 2, after)).toEqual(gate);
          expect(Object.keys(after ?? {}).length).toBeLessThanOrEqual(6 + gate.holders.length);
          for (const other of all) {
            const isSame = ["tickets", "passed", "telling"].every(
              (key) => other[key as "tickets"] === before[key as "tickets"],
            );
            if (isSame || other.tickets === 0) continue;
            const stored = applyTransition(gateTransition(empty, other), undefined);
            expect(applyTransition(transition, stored)).toBeUndefined();
          }
          fields = after;
        });
      }),
    );
  });

  test("an entry is read as it was written", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,40}$/), fc.nat(), (runId, epoch) => {
        expect(decodeEntry(encodeEntry({ runId, epoch }))).toEqual({ runId, epoch });
      }),
    );
  });
});
