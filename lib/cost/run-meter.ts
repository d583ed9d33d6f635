/**
 * What AWS would bill for each run of an engine, counted while it runs and kept beside the run. A run's figure has the runs
 * in it that it has started: children, and the parts of its maps. What runs share, such as turns and rates, is billed to the
 * run for which it is asked.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { EmbeddedBackend, RunTallies } from "../embedded/backend.ts";
import type { Between } from "../embedded/engine.ts";
import { isRunId } from "../engine/record-id.ts";
import { usualAssumptions } from "./assumptions.ts";
import { InHand, runIdOf } from "./in-hand.ts";
import { type Counter, type Metering, meterBackend, meterBlobs, type Part } from "./meter.ts";
import type { WorkDone } from "./peers.ts";
import { prices } from "./prices.ts";
import { type Billed, billed, type PriceList } from "./report.ts";
import { addUsage, noUsage, type Usage } from "./usage.ts";

export interface RunCost extends Billed {
  readonly runId: string;
  /** That are billed: the run, and those that it has started. */
  readonly runs: number;
  /** Whether all of them were metered all the time since they began. */
  readonly isWhole: boolean;
  readonly assumptions: Metering["assumptions"];
}

export interface RunMeter {
  /** To be put between one engine and its storage. */
  readonly between: Between;
  /** What has been counted up to now; `undefined` when there is no such run, or nothing was counted of it. */
  costOf(runId: string): Promise<RunCost | undefined>;
  /** Resolves when nothing of the run is being worked on: what an end leaves to be done is then counted, too. */
  settled(runId: string): Promise<void>;
}

const usEast1 = { region: "us-east-1", prices: prices["us-east-1"] } as PriceList;

/** @param assumptions @default those of a new stack, and invocations that take as long as they do here */
export function createRunMeter(
  assumptions: Metering["assumptions"] = {
    memoryMb: usualAssumptions.memoryMb,
    changesAtOnce: usualAssumptions.changesAtOnce,
  },
): RunMeter {
  /** Id of the run whose message is being handled. */
  const handled = new AsyncLocalStorage<string>();
  /** Of what is asked for from outside, such as a start: id of the run that it has written last. */
  const written = new AsyncLocalStorage<string>();
  const inHand = new InHand();
  let tallies: RunTallies | undefined;

  function counterOf(id: string): Counter {
    const runId = isRunId(id) ? id : (handled.getStore() ?? written.getStore() ?? "");
    return tallies === undefined || runId === "" ? nobody : new RunCounter(tallies, runId);
  }

  return {
    between: {
      backend: (own: EmbeddedBackend, clock) => {
        tallies = own.runTallies;
        const metered = meterBackend(own, { counterOf, assumptions, clock, inHand });
        return {
          ...metered,
          update(id, transition) {
            if (handled.getStore() === undefined && isRunId(id)) written.enterWith(id);
            return metered.update(id, transition);
          },
        };
      },
      blobs: (own) => meterBlobs(own, counterOf),
      around: (body, handle) => handled.run(runIdOf(body), handle),
    },
    async costOf(runId) {
      const tally = await tallies?.of(runId);
      if (tally === undefined) return undefined;
      const { amounts, runs, isWhole } = tally;
      const { attempts = 0, ...usage } = amounts;
      return { runId, runs, isWhole, assumptions, ...billed(addUsage(noUsage, usage), attempts, usEast1) };
    },
    settled: (runId) => inHand.ended(runId),
  };
}

/** Requests that belong to no run, such as those for a message that nobody can read. */
const nobody: Counter = { add: () => undefined, addWork: () => undefined };

class RunCounter implements Counter {
  readonly #tallies: RunTallies;
  readonly #runId: string;

  constructor(tallies: RunTallies, runId: string) {
    this.#tallies = tallies;
    this.#runId = runId;
  }

  add(_part: Part, usage: Partial<Usage>): void {
    this.#tallies.add(this.#runId, usage);
  }

  addWork({ attempts = 0 }: Partial<WorkDone>): void {
    if (attempts !== 0) this.#tallies.add(this.#runId, { attempts });
  }
}
