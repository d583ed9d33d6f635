/** What may go wrong in a world on purpose, and where it could go wrong now. */
import type { Chooser } from "./chooser.ts";
import { type Gate, labelOf, type Machinery } from "./machinery.ts";
import { describeMessage, type StoredMessage } from "./simulated-queue.ts";

/** How many may strike, by kind. */
export interface Faults {
  /** Processes that die, losing their memory. */
  crashes: number;
  /** Messages that become visible while their delivery is still being handled. */
  duplicates: number;
  /** Writes whose answer is lost, and that the client repeats. */
  lostResponses: number;
  /** Port calls that fail before they do anything. */
  failures: number;
  /** Time that passes although processes have work to do: leases expire under living workers. */
  stalls: number;
  /** Not a number of faults: each process's clock is off by up to so many ms. */
  readonly skewMs: number;
}

export type FaultKind = Exclude<keyof Faults, "skewMs">;

export const noFaults: Faults = { crashes: 0, duplicates: 0, lostResponses: 0, failures: 0, stalls: 0, skewMs: 0 };

/** One kind of fault, and the places where it could strike now. */
export interface Threat {
  readonly kind: FaultKind;
  readonly places: number;
  readonly labelOf: (place: number) => string;
  readonly strike: (place: number) => void;
}

const stallMostMs = 90_000;

/** @param isBusy whether somebody has something to do, so that it makes a difference when all stand still */
export function threatsTo(machinery: Machinery, faults: Faults, isBusy: boolean, chooser: Chooser): Threat[] {
  const { gates, queue, clock } = machinery;
  const stall = (): void => {
    const ms = Math.round(chooser.fraction("stall") * stallMostMs);
    machinery.note(() => `STALL of ${ms} ms`);
    machinery.timePasses(clock.now() + ms);
  };
  const showAgain = (message: StoredMessage): void => {
    machinery.note(() => `VISIBLE AGAIN: ${describeMessage(message.body)}`);
    queue.showAgain(message, clock.now());
  };
  const writes = faults.lostResponses > 0 ? gates.filter(({ isWrite }) => isWrite) : [];
  const held = faults.duplicates > 0 ? queue.held() : [];
  const at = (verb: string) => (gate: Gate) => `${verb} ${labelOf(gate)}`;
  return [
    ...threat("crashes", faults, gates, at("crash before"), ({ process }) => machinery.crash(process)),
    ...threat("duplicates", faults, held, ({ body }) => `visible again: ${describeMessage(body)}`, showAgain),
    ...threat("lostResponses", faults, writes, at("lost response of"), (gate) => machinery.open(gate, "twice")),
    ...threat("failures", faults, gates, at("failure of"), (gate) => machinery.open(gate, "never")),
    ...threat("stalls", faults, isBusy ? ["all"] : [], () => "all stand still", stall),
  ];
}

function threat<T>(
  kind: FaultKind,
  faults: Faults,
  places: readonly T[],
  labelOf: (place: T) => string,
  strike: (place: T) => void,
): Threat[] {
  if (faults[kind] <= 0 || places.length === 0) return [];
  return [
    {
      kind,
      places: places.length,
      labelOf: (at) => labelOf(places[at] as T),
      strike: (at) => strike(places[at] as T),
    },
  ];
}
