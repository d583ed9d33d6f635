/**
 * What must happen after a commit: whatever follows from the run's state, the messages that are due (R5, R6), and the
 * answers to those who wait for the run's end.
 */
import type { Graph } from "../definition/graph.ts";
import { due, dueBecauseOf } from "../engine/due.ts";
import type { RunState } from "../engine/run-state.ts";
import { settle } from "../engine/settle.ts";
import type { Track } from "../engine/track.ts";
import { transitionTo } from "../engine/transition-to.ts";
import { repliesDue } from "../engine/waiter.ts";
import { change, type Image } from "./image.ts";
import type { Ports } from "./ports.ts";

/**
 * Sends what the step's last move caused. Every path that could have lost it comes here again.
 *
 * @param before the run before the write that this follows; absent when the write may have been an earlier one
 */
export async function advanceBecauseOf(
  ports: Ports,
  graph: Graph,
  image: Image,
  step: number,
  track: Track = "step",
  before?: RunState,
): Promise<Image> {
  const settled = await settleNow(ports, graph, image);
  const messages = dueBecauseOf(graph, settled.run, step, ports.clock.now(), track, before?.status);
  if (messages.length > 0) await ports.queue.send(messages);
  if (settled.run.status !== before?.status) await tellWaiters(ports, settled.run);
  return settled;
}

/** Sends everything that should be in flight for the run. */
export async function advanceAll(ports: Ports, graph: Graph, image: Image): Promise<Image> {
  const settled = await settleNow(ports, graph, image);
  const messages = due(graph, settled.run, ports.clock.now());
  if (messages.length > 0) await ports.queue.send(messages);
  await tellWaiters(ports, settled.run);
  return settled;
}

/** Of a run that has ended, or is parked; of every other one, and of one that nobody waits for, it does nothing. */
export async function tellWaiters({ replies, clock }: Ports, run: RunState): Promise<void> {
  const due = repliesDue(run, clock.now());
  if (due.length > 0) await replies?.send(due);
}

/** One write settles up to `limits.settledPerWrite` steps, so a run has settled after a few of them. */
async function settleNow(ports: Ports, graph: Graph, image: Image): Promise<Image> {
  let current = image;
  // Whoever has decided last has nearly always settled the run, too.
  if (settle(graph, image.run, ports.clock.now()) === image.run) return image;
  for (;;) {
    const next = await change(ports.store, current, (run) => {
      const settled = settle(graph, run, ports.clock.now());
      return settled === run ? undefined : transitionTo(run, settled);
    });
    if (next === current) return current;
    current = next;
  }
}
