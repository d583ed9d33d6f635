/** What may go wrong in a world on purpose, and where it could go wrong now. */
import type { Chooser } from "./chooser.ts";
import { labelOf, type Machinery } from "./machinery.ts";
import { describeMessage, type StoredMessage } from "./simulated-queue.ts";

/** How many may strike, by kind. */
export interface Faults {
  /** Processes that die, losing their memory. */
  crashes: number;
  /** Messages that become visible while their delivery is still being handled. */
  duplicates: number;
  /** Messages that the queue holds twice from now on, timers included. */
  copies: number;
  /** Deliveries that reach nobody: the message comes again when it becomes visible again. */
  drops: number;
  /** Messages that come up to two minutes late, timers included. */
  delays: number;
  /** Writes whose answer is lost, and that the client repeats. */
  lostResponses: number;
  /** Port calls that fail before they do anything. */
  failures: number;
  /** Port calls that are done, and whose caller is told that they failed. */
  falseFailures: number;
  /** Times of up to ten seconds in which every write is refused before it does anything. */
  throttles: number;
  /** Time that passes although processes have work to do: leases expire under living workers. */
  stalls: number;
  /** Processes that stand still for up to 90 seconds while the others go on. */
  freezes: number;
  /** Not a number of faults: each process's clock is off by up to so many ms. */
  readonly skewMs: number;
}

export type FaultKind = Exclude<keyof Faults, "skewMs">;

export const noFaults: Faults = {
  crashes: 0,
  duplicates: 0,
  copies: 0,
  drops: 0,
  delays: 0,
  lostResponses: 0,
  failures: 0,
  falseFailures: 0,
  throttles: 0,
  stalls: 0,
  freezes: 0,
  skewMs: 0,
};

export const faultKinds = Object.keys(noFaults).filter((kind) => kind !== "skewMs") as readonly FaultKind[];

/** One kind of fault, and the places where it could strike now. */
export interface Threat {
  readonly kind: FaultKind;
  readonly places: number;
  readonly labelOf: (place: number) => string;
  readonly strike: (place: number) => void;
}

/** Up to so long. */
const longestMs = { stall: 90_000, freeze: 90_000, delay: 120_000, throttle: 10_000 } as const;

/** @param isBusy whether somebody has something to do, so that it makes a difference when all stand still */
export function threatsTo(machinery: Machinery, left: Faults, isBusy: boolean, chooser: Chooser): Threat[] {
  const { queue, clock } = machinery;
  const gates = machinery.openGates();
  const some = (mostMs: number): number => Math.round(chooser.fraction("stall") * mostMs);
  const threats: Threat[] = [];
  const add = <T>(kind: FaultKind, places: readonly T[], name: (place: T) => string, strike: (place: T) => void) => {
    const labelOf = (at: number): string => `${kind}: ${name(places[at] as T)}`;
    const threat = { kind, places: places.length, labelOf, strike: (at: number) => strike(places[at] as T) };
    if (left[kind] > 0 && places.length > 0) threats.push(threat);
  };
  const nameOf = ({ body }: StoredMessage): string => describeMessage(body);
  const writes = gates.filter(({ isWrite }) => isWrite);
  const held = queue.messages.filter(({ heldBy }) => heldBy !== undefined);
  const free = queue.messages.filter(({ heldBy }) => heldBy === undefined);
  const everybody = ["everybody"];
  add(
    "crashes",
    gates,
    (gate) => `before ${labelOf(gate)}`,
    ({ process }) => machinery.crash(process),
  );
  add("duplicates", held, nameOf, (message) => {
    machinery.note(() => `VISIBLE AGAIN: ${nameOf(message)}`);
    queue.showAgain(message, clock.now());
  });
  add("copies", free, nameOf, (message) => {
    machinery.note(() => `COPIED: ${nameOf(message)}`);
    queue.copy(message);
  });
  add("drops", queue.visible(clock.now()), nameOf, (message) => {
    machinery.note(() => `DROPPED: a delivery of ${nameOf(message)}`);
    queue.receive(message, clock.now());
  });
  add("delays", free, nameOf, (message) => {
    const ms = some(longestMs.delay);
    machinery.note(() => `LATE by ${ms} ms: ${nameOf(message)}`);
    message.visibleAtMs = Math.max(message.visibleAtMs, clock.now()) + ms;
  });
  add("lostResponses", writes, labelOf, (gate) => machinery.open(gate, "twice"));
  add("failures", gates, labelOf, (gate) => machinery.open(gate, "never"));
  add("falseFailures", gates, labelOf, (gate) => machinery.open(gate, "unheard"));
  add("throttles", everybody, String, () => machinery.throttle(some(longestMs.throttle)));
  add("stalls", isBusy ? everybody : [], String, () => {
    const ms = some(longestMs.stall);
    machinery.note(() => `STALL of ${ms} ms`);
    machinery.timePasses(clock.now() + ms);
  });
  const busy = [...new Set(gates.map(({ process }) => process))];
  add(
    "freezes",
    busy,
    ({ name }) => name,
    (process) => {
      const ms = some(longestMs.freeze);
      machinery.note(() => `${process.name}: STANDS STILL for ${ms} ms`);
      process.frozenUntilMs = clock.now() + ms;
    },
  );
  return threats;
}
