/**
 * What AWS would bill, by shape of the graph: write units, messages and dollars per step, against the targets. Nothing of it
 * depends on the machine.
 *
 *     npm run bench:bill -- [--json]
 */
import { usualAssumptions } from "../lib/cost/assumptions.ts";
import { playMetered } from "../lib/cost/play.ts";
import { prices } from "../lib/cost/prices.ts";
import { reportOf } from "../lib/cost/report.ts";
import type { StepRef } from "../lib/definition/step.ts";
import { type Workflow, workflow } from "../lib/definition/workflow.ts";

const usEast1 = prices["us-east-1"];
if (usEast1 === undefined) throw new Error("There are no prices.");
const assumptions = { ...usualAssumptions, memoryMb: 128 };

/** JSON of so many bytes. */
const text = (bytes: number): string => "x".repeat(bytes - 2);

function chain(steps: number, bytes: number): Workflow {
  return workflow("chain", {}, (w) => {
    let last: StepRef<string, string> | undefined;
    for (let index = 0; index < steps; index++) {
      last = w.step(`s${index}`, { after: last === undefined ? [] : [last], run: () => text(bytes) });
    }
    return last;
  });
}

function diamond(bytes: number): Workflow {
  return workflow("diamond", {}, (w) => {
    const first = w.step("first", { run: () => text(bytes) });
    const left = w.step("left", { after: [first], run: () => text(bytes) });
    const right = w.step("right", { after: [first], run: () => text(bytes) });
    return w.step("last", { after: [left, right], run: () => text(bytes) });
  });
}

function fan(width: number, bytes: number): Workflow {
  return workflow("fan", {}, (w) => {
    const first = w.step("first", { run: () => text(bytes) });
    const all = Array.from({ length: width }, (_, index) =>
      w.step(`s${index}`, { after: [first], run: () => text(bytes) }),
    );
    return w.step("last", { afterSettled: all, run: () => text(bytes) });
  });
}

function map(items: number, bytes: number): Workflow {
  return workflow("map", {}, (w) =>
    w.map("items", { items: () => Array.from({ length: items }, (_, index) => index), run: () => text(bytes) }),
  );
}

/** A chain of ten, each step of which fails twice. */
function retries(bytes: number): Workflow {
  return workflow("retries", {}, (w) => {
    let last: StepRef<string, string> | undefined;
    for (let index = 0; index < 10; index++) {
      const run = ({ attempt }: { readonly attempt: number }): string => {
        if (attempt < 3) throw new Error("not yet");
        return text(bytes);
      };
      last = w.step(`s${index}`, { after: last === undefined ? [] : [last], run });
    }
    return last;
  });
}

/** Five times a signal and a step. */
function signals(bytes: number): Workflow {
  return workflow("signals", {}, (w) => {
    let last: StepRef<string, string> | undefined;
    for (let index = 0; index < 5; index++) {
      const signal = w.signal(`go${index}`, { after: last === undefined ? [] : [last] });
      last = w.step(`s${index}`, { after: [signal], run: () => text(bytes) });
    }
    return last;
  });
}

interface Case {
  readonly name: string;
  readonly workflow: Workflow;
  /** By which the figures are divided. */
  readonly steps: number;
  readonly outputBytes: number;
  readonly signals?: Readonly<Record<string, unknown>>;
  /** At most so many write units of the table a step. */
  readonly target?: number;
}

const go = Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`go${index}`, undefined]));
const cases: readonly Case[] = [20, 900].flatMap((outputBytes): Case[] => {
  const isSmall = outputBytes === 20;
  return [
    { name: "chain of 10", workflow: chain(10, outputBytes), steps: 10, outputBytes, target: isSmall ? 2.15 : 3.2 },
    {
      name: "chain of 50",
      workflow: chain(50, outputBytes),
      steps: 50,
      outputBytes,
      ...(isSmall ? { target: 2.5 } : {}),
    },
    { name: "chain of 200", workflow: chain(200, outputBytes), steps: 200, outputBytes },
    { name: "diamond", workflow: diamond(outputBytes), steps: 4, outputBytes },
    { name: "fan of 50", workflow: fan(50, outputBytes), steps: 52, outputBytes },
    {
      name: "map of 10,000",
      workflow: map(10_000, outputBytes),
      steps: 10_000,
      outputBytes,
      ...(isSmall ? { target: 2.5 } : {}),
    },
    { name: "chain of 10, each at the third attempt", workflow: retries(outputBytes), steps: 10, outputBytes },
    { name: "five signals, five steps", workflow: signals(outputBytes), steps: 10, outputBytes, signals: go },
  ];
});

const rounded = (value: number): number => Number(value.toFixed(3));
const rows = [];
for (const { name, workflow, steps, outputBytes, signals: sent = {}, target } of cases) {
  const run = await playMetered(workflow, { signals: sent, assumptions });
  if (run.status !== "succeeded") throw new Error(`The ${name} is ${run.status}: ${run.waitsFor}`);
  const { dollars, peers } = reportOf(name, run, { region: "us-east-1", prices: usEast1, assumptions });
  rows.push({
    graph: name,
    outputBytes,
    steps,
    tableWrites: rounded(run.usage.tableWrites / steps),
    ...(target === undefined ? {} : { target }),
    indexWrites: rounded(run.usage.indexWrites / steps),
    reads: rounded(run.usage.reads / steps),
    sqsRequests: rounded(run.usage.sqsRequests / steps),
    dollarsPerMillionSteps: rounded(dollars / steps),
    peers: Object.fromEntries(peers.map((peer) => [peer.peer, rounded(peer.dollars / steps)])),
  });
}

if (process.argv.includes("--json")) process.stdout.write(`${JSON.stringify({ assumptions, rows })}\n`);
else {
  process.stdout.write("per step                                 outputs  table  target  index  reads   SQS  $/1M\n");
  for (const { graph, outputBytes, tableWrites, target, indexWrites, reads, sqsRequests, ...row } of rows) {
    const [table, index, read, sqs] = [tableWrites, indexWrites, reads, sqsRequests].map((value) => value.toFixed(2));
    const cells = [
      graph.padEnd(40),
      `${outputBytes} B`.padStart(7),
      table?.padStart(6),
      (target === undefined ? "" : `${target}${tableWrites > target ? " !" : ""}`).padEnd(6),
      index?.padStart(6),
      read?.padStart(6),
      sqs?.padStart(5),
      row.dollarsPerMillionSteps.toFixed(2).padStart(5),
    ];
    process.stdout.write(`${cells.join(" ")}\n`);
  }
}
