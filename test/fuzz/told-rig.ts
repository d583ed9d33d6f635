// The runs of the golden story in memory, with their messages in the test's own hands.
import type { Workflow } from "../../lib/definition/workflow.ts";
import type { Message } from "../../lib/engine/message.ts";
import type { OutgoingMessage, Ports } from "../../lib/runtime/ports.ts";
import { Rig } from "../behaviour/rig.ts";
import { createStory, tell } from "../golden/story.ts";

export interface ToldRig {
  readonly rig: Rig;
  readonly workflows: readonly Workflow[];
  /** All that were sent on the way. */
  readonly messages: readonly Message[];
}

const stepMs = 10 * 60_000;

export async function toldRig(): Promise<ToldRig> {
  const { workflows } = createStory(false);
  const rig = new Rig(workflows);
  const messages: Message[] = [];
  const { send } = rig.ports.queue;
  Object.assign(rig.ports.queue, {
    send: (all: readonly OutgoingMessage[]) => {
      messages.push(...all.map(({ message }) => message));
      return send(all);
    },
  });
  // Code that never returns would hold up all others: its run is parked, as its workflow is missing.
  const known = workflows.filter(({ name }) => name !== "hangs");
  const worker = rig.worker(known);
  const pass = async (ms: number): Promise<void> => {
    for (let leftMs = ms; leftMs > 0; leftMs -= stepMs) {
      await rig.clock.advance(Math.min(leftMs, stepMs));
      await rig.deliverAll(worker);
    }
  };
  await tell(rig, () => rig.clock.now(), pass);
  return { rig, workflows: known, messages };
}

/** Ports that count the calls made to them. */
export function counted(ports: Ports): { readonly ports: Ports; readonly calls: () => number } {
  let calls = 0;
  const each = <T extends object>(port: T): T =>
    new Proxy(port, {
      get: (target, name, receiver) => {
        const found: unknown = Reflect.get(target, name, receiver);
        if (typeof found !== "function") return found;
        return (...given: unknown[]): unknown => {
          calls++;
          return (found as (...all: unknown[]) => unknown).apply(target, given);
        };
      },
    });
  return { ports: { ...ports, store: each(ports.store), queue: each(ports.queue) }, calls: () => calls };
}
