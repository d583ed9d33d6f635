// A worker that dies at one call of a port: the call is made or not made, and nothing of that process happens any more.
import { limits } from "../../lib/definition/limits.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import type { Ports } from "../../lib/runtime/ports.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import type { Rig } from "./rig.ts";

/**
 * Delivers everything with a worker that dies at moment number `fatal`: each of its calls has two, before and after it;
 * then delivers the rest, also what others notice only after a while. Returns how many moments the first one had.
 */
export async function mortal(rig: Rig, workflows: readonly Workflow[], fatal: number): Promise<number> {
  let calls = 0;
  let died = (): void => undefined;
  const death = new Promise<"died">((resolve) => {
    died = () => {
      resolve("died");
    };
  });
  const call = async <T>(perform: () => Promise<T>): Promise<T> => {
    calls++;
    if (2 * calls < fatal) return perform();
    if (2 * calls === fatal) await perform();
    died();
    return new Promise<never>(() => undefined);
  };
  const { store, queue } = rig.ports;
  const ports: Ports = {
    ...rig.ports,
    clock: { now: () => rig.clock.now(), after: () => () => undefined },
    queue: { send: (messages) => call(() => queue.send(messages)) },
    store: {
      update: (runId, transition) => call(() => store.update(runId, transition)),
      remove: (runId, guard) => call(() => store.remove(runId, guard)),
      removeRest: (runId) => call(() => store.removeRest(runId)),
      get: (runId) => call(() => store.get(runId)),
      load: (runId) => call(() => store.load(runId)),
      putPayload: (runId, key, json) => call(() => store.putPayload(runId, key, json)),
      getPayloads: (runId, keys) => call(() => store.getPayloads(runId, keys)),
      putGraph: (workflow, fingerprint, json) => call(() => store.putGraph(workflow, fingerprint, json)),
      getGraph: (workflow, fingerprint) => call(() => store.getGraph(workflow, fingerprint)),
    },
  };
  const worker = createWorker({ workflows, ports });
  await Promise.race([rig.deliverAll(worker), death]);
  await atRest();
  const moments = 2 * calls;
  await rig.deliverAll(rig.worker(workflows));
  for (let look = 0; look < 4; look++) {
    await rig.clock.advance(limits.nudgeDelayMs);
    await rig.deliverAll(rig.worker(workflows));
  }
  return moments;
}
