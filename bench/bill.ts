/** What AWS would bill, by shape of the graph. Nothing of it depends on the machine. */
import { usualAssumptions } from "../lib/cost/assumptions.ts";
import type { Service } from "../lib/cost/bill.ts";
import { playMetered } from "../lib/cost/play.ts";
import { prices } from "../lib/cost/prices.ts";
import { reportOf } from "../lib/cost/report.ts";
import type { Workflow } from "../lib/definition/workflow.ts";
import { chain, diamond, fan, idempotentChain, map, retries, signals } from "./graphs.ts";
import { writesByItem } from "./map-writes.ts";
import type { Figure, Measured } from "./report.ts";

const usEast1 = prices["us-east-1"];
if (usEast1 === undefined) throw new Error("There are no prices.");
const assumptions = { ...usualAssumptions, memoryMb: 128 };

/** Of one step: write units, requests, and dollars for a million. */
export interface Billed {
  readonly graph: string;
  readonly outputBytes: number;
  readonly steps: number;
  readonly tableWrites: number;
  readonly indexWrites: number;
  readonly reads: number;
  readonly sqsRequests: number;
  readonly dollars: number;
  readonly services: Readonly<Partial<Record<Service, number>>>;
  /** Dollars, by who else would bill it. */
  readonly peers: Readonly<Record<string, number>>;
}

/** What the pictures are made of. */
export interface BillDetails {
  readonly assumptions: typeof assumptions;
  readonly graphs: readonly Billed[];
  /** Chains of the small outputs, the shortest first. */
  readonly chains: readonly { readonly steps: number; readonly tableWrites: number }[];
}

/** At most so much, of one step. */
interface Targets {
  readonly tableWrites?: number;
  readonly indexWrites?: number;
  readonly dollars?: number;
}

interface Case {
  readonly name: string;
  readonly workflow: (outputBytes: number) => Workflow;
  /** By which the figures are divided. */
  readonly steps: number;
  readonly signals?: Readonly<Record<string, unknown>>;
  /** By bytes of each output. */
  readonly targets?: Readonly<Partial<Record<number, Targets>>>;
}

const [smallBytes, largeBytes] = [20, 900];
const mapItems = 10_000;
const mapSample = 1_000;
const chainLengths = [5, 10, 20, 30, 50, 75, 100, 150, 200];

const cases: readonly Case[] = [
  {
    name: "chain of 10",
    workflow: (bytes) => chain(10, bytes),
    steps: 10,
    targets: {
      [smallBytes]: { tableWrites: 2.15, indexWrites: 0.3, dollars: 3 },
      [largeBytes]: { tableWrites: 3.2, indexWrites: 0.3, dollars: 3.65 },
    },
  },
  {
    name: "chain of 50",
    workflow: (bytes) => chain(50, bytes),
    steps: 50,
    targets: { [smallBytes]: { tableWrites: 2.5 } },
  },
  {
    name: "chain of 10, idempotent",
    workflow: (bytes) => idempotentChain(10, bytes),
    steps: 10,
    targets: { [smallBytes]: { tableWrites: 1.2 } },
  },
  { name: "chain of 200", workflow: (bytes) => chain(200, bytes), steps: 200 },
  { name: "diamond of 4", workflow: diamond, steps: 4 },
  { name: "fan of 50", workflow: (bytes) => fan(50, bytes), steps: 52 },
  {
    name: "map of 10,000",
    workflow: (bytes) => map(mapItems, bytes),
    steps: mapItems,
    targets: { [smallBytes]: { tableWrites: 2.5 } },
  },
  { name: "chain of 10, thrice each", workflow: retries, steps: 10 },
  {
    name: "5 signals, 5 steps",
    workflow: signals,
    steps: 10,
    signals: Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`go${index}`, undefined])),
  },
];

/** @throws {Error} naming a run that does not succeed */
export async function measureBill(): Promise<Measured & { readonly details: BillDetails }> {
  const graphs: Billed[] = [];
  const figures: Figure[] = [];
  for (const outputBytes of [smallBytes, largeBytes]) {
    for (const one of cases) {
      const billed = await play(one, outputBytes);
      graphs.push(billed);
      figures.push(...judged(billed, one.targets?.[outputBytes] ?? {}));
    }
  }
  figures.push(await lastAgainstFirst());
  const chains = [];
  for (const steps of chainLengths) {
    const { tableWrites } = await play(
      { name: `chain of ${steps}`, workflow: (bytes) => chain(steps, bytes), steps },
      smallBytes,
    );
    chains.push({ steps, tableWrites });
  }
  return {
    title: "The bill: units and requests of one step (of a map: an item), and dollars for a million",
    notes: [
      "Counted by the cost meter between the real engine and its storage, in virtual time. Depends on no machine.",
      `Functions of ${assumptions.memoryMb} MB that take ${assumptions.invocationMs} ms and get one message each; us-east-1, all services and indexes.`,
    ],
    grid: {
      columns: ["graph", "outputs", "table", "index", "reads", "SQS", "$ ours", "$ Step Functions", "$ durable"],
      rows: graphs.map(({ graph, outputBytes, tableWrites, indexWrites, reads, sqsRequests, dollars, peers }) => [
        graph,
        `${outputBytes} B`,
        ...[tableWrites, indexWrites, reads, sqsRequests, dollars, ...Object.values(peers)].map((one) =>
          one.toFixed(2),
        ),
      ]),
    },
    figures,
    details: { assumptions, graphs, chains },
  };
}

async function play({ name, workflow, steps, signals: sent = {} }: Case, outputBytes: number): Promise<Billed> {
  const run = await playMetered(workflow(outputBytes), { signals: sent, assumptions });
  if (run.status !== "succeeded") throw new Error(`The ${name} is ${run.status}: ${run.waitsFor}`);
  const { usage } = run;
  const of = (sum: number): number => Number((sum / steps).toFixed(3));
  const { dollars, services, peers } = reportOf(name, run, { region: "us-east-1", prices: usEast1!, assumptions });
  return {
    graph: name,
    outputBytes,
    steps,
    tableWrites: of(usage.tableWrites),
    indexWrites: of(usage.indexWrites),
    reads: of(usage.reads),
    sqsRequests: of(usage.sqsRequests),
    dollars: of(dollars),
    services: Object.fromEntries(Object.entries(services).map(([service, sum]) => [service, of(sum)])),
    peers: Object.fromEntries(peers.map((peer) => [peer.peer, of(peer.dollars)])),
  };
}

function judged({ graph, outputBytes, ...of }: Billed, targets: Targets): Figure[] {
  const said = {
    tableWrites: "write units of the table",
    indexWrites: "write units of the index",
    dollars: "dollars for a million",
  };
  return (["tableWrites", "indexWrites", "dollars"] as const).flatMap((what) => {
    const atMost = targets[what];
    if (atMost === undefined) return [];
    return [{ name: `${graph}, ${outputBytes} B: ${said[what]}`, value: of[what], target: { atMost } }];
  });
}

async function lastAgainstFirst(): Promise<Figure> {
  const writes = await writesByItem(map(mapItems, smallBytes), mapItems, assumptions);
  const sum = (some: readonly number[]): number => some.reduce((all, one) => all + one, 0);
  const value = sum(writes.slice(-mapSample)) / sum(writes.slice(0, mapSample));
  return {
    name: "map of 10,000: write units of the last 1,000 items against the first 1,000",
    value: Number(value.toFixed(4)),
    target: { atMost: 1.05 },
  };
}
