/** What a played run says of the bill, for people and for programs. */
import { type Assumptions, gbSecondsOf } from "./assumptions.ts";
import { type BillLine, bill, byService, type Service, total } from "./bill.ts";
import type { Part } from "./meter.ts";
import { type PeerBill, peerBills } from "./peers.ts";
import type { PlayedRun } from "./play.ts";
import type { Prices } from "./prices.ts";
import type { Usage } from "./usage.ts";

/** What was used, at the prices of a day. Dollars are for a million runs like this one. */
export interface Billed {
  readonly region: string;
  /** The day on which the prices were read. */
  readonly pricesOf: string;
  readonly attempts: number;
  readonly dollars: number;
  /** Of a million attempts of steps; absent when there were none. */
  readonly dollarsPerMillionAttempts?: number;
  readonly services: Readonly<Partial<Record<Service, number>>>;
  readonly lines: readonly BillLine[];
}

export interface CostReport extends Billed {
  readonly workflow: string;
  readonly status: string;
  readonly waitsFor?: string;
  readonly assumptions: Assumptions;
  /** What it was for. */
  readonly parts: readonly { readonly part: Part; readonly dollars: number; readonly usage: Partial<Usage> }[];
  readonly peers: readonly PeerBill[];
}

/** Whose prices. */
export interface PriceList {
  readonly region: string;
  readonly prices: Prices;
}

const million = 1_000_000;

export function billed(usage: Usage, attempts: number, { region, prices }: PriceList): Billed {
  const lines = bill(usage, prices).map((line) => ({ ...line, dollars: line.dollars * million }));
  const dollars = total(lines);
  return {
    region,
    pricesOf: prices.date,
    attempts,
    dollars,
    ...(attempts === 0 ? {} : { dollarsPerMillionAttempts: dollars / attempts }),
    services: Object.fromEntries(byService(lines)),
    lines,
  };
}

export function reportOf(
  workflow: string,
  { status, waitsFor, usage, byPart, work }: PlayedRun,
  { assumptions, ...list }: PriceList & { readonly assumptions: Assumptions },
): CostReport {
  return {
    workflow,
    status,
    ...(waitsFor === undefined ? {} : { waitsFor }),
    assumptions,
    ...billed(usage, work.attempts, list),
    parts: [...byPart].flatMap(([part, used]) => {
      const cost = total(bill(used, list.prices)) * million;
      return cost === 0 ? [] : [{ part, dollars: cost, usage: withoutZeros(used) }];
    }),
    peers: peerBills(work, gbSecondsOf(assumptions), list.prices).map((peer) => ({
      ...peer,
      dollars: peer.dollars * million,
    })),
  };
}

function withoutZeros(usage: Usage): Partial<Usage> {
  return Object.fromEntries(Object.entries(usage).filter(([, units]) => units !== 0));
}
