// The small graphs that are explored in full, and what their users do.
import * as z from "zod";
import { FatalError } from "../../lib/definition/errors.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import { type WorkflowBuilder, workflow } from "../../lib/definition/workflow.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import type { ExploredWorld, Operation } from "../../lib/testing/simulator/explored-world.ts";
import { withSmallShards } from "../engine/small-shards.ts";
import { type Graph, type Inside, runId } from "./inside.ts";

/** What is to succeed in the end must outlast all crashes. */
const retry = { maxAttempts: 10, backoff: { type: "fixed", base: "1s" } } as const;

/** By name; each is built anew for whoever explores it. */
export const graphs: Readonly<Record<string, (inside: Inside) => Graph>> = {
  one: (inside) => started(chain(inside, 1)),
  chain2: (inside) => started(chain(inside, 2)),
  chain3: (inside) => started(chain(inside, 3)),
  diamond: (inside) =>
    started(
      flow((w) => {
        const a = w.step("a", { retry, run: () => inside.code("a").then(() => 1) });
        const b = w.step("b", { after: [a], retry, run: ({ outputs }) => inside.code("b").then(() => outputs.a + 1) });
        const c = w.step("c", { after: [a], retry, run: ({ outputs }) => inside.code("c").then(() => outputs.a + 2) });
        const sum = ({ b, c }: { b: number; c: number }): number => b + c;
        w.step("d", { after: [b, c], retry, run: ({ outputs }) => inside.code("d").then(() => sum(outputs)) });
      }),
    ),
  join: (inside) => started(join(inside)),
  idempotent: (inside) => started(chain(inside, 2, true)),
  "idempotent-retry": (inside) =>
    started(
      flow((w) => {
        const a = w.step("a", {
          retry,
          idempotent: true,
          run: async ({ attempt }) => {
            await inside.code(`a@${attempt}`);
            if (attempt === 1) throw new Error("at first");
            return 1;
          },
        });
        w.step("b", { after: [a], retry, run: ({ outputs }) => inside.code("b").then(() => outputs.a) });
      }),
    ),
  "idempotent-cancel": (inside) => cancelled(chain(inside, 1, true)),
  retry: (inside) =>
    started(
      flow((w) => {
        const a = w.step("a", {
          retry,
          run: async ({ attempt }) => {
            await inside.code(`a@${attempt}`);
            if (attempt === 1) throw new Error("at first");
            return 1;
          },
        });
        w.step("b", { after: [a], retry, run: ({ outputs }) => inside.code("b").then(() => outputs.a) });
      }),
    ),
  undo: (inside) => started(failing(inside)),
  when: (inside) =>
    started(
      flow((w) => {
        const a = w.step("a", { retry, run: () => inside.code("a").then(() => false) });
        const b = w.step("b", {
          after: [a],
          when: ({ outputs }) => outputs.a,
          retry,
          run: () => inside.code("b").then(() => 2),
        });
        w.step("c", { after: [b], retry, run: ({ outputs }) => inside.code("c").then(() => outputs.b ?? 0) });
      }),
    ),
  sleep: (inside) =>
    started(
      flow((w) => {
        const nap = w.sleep("nap", { duration: "1m" });
        w.step("b", { after: [nap], retry, run: () => inside.code("b").then(() => 2) });
      }),
    ),
  signal: (inside) => ({
    workflows: [
      flow((w) => {
        const ok = w.signal("ok", { payload: z.number() });
        w.step("b", { after: [ok], retry, run: ({ outputs }) => inside.code("b").then(() => outputs.ok) });
      }),
    ],
    users: [[start], [operation("signal", (commands) => commands.signal(runId, "ok", 7))]],
  }),
  callback: (inside) => ({
    workflows: [
      flow((w) => {
        const paid = w.callback("paid", {
          output: z.number(),
          retry,
          run: async ({ token }) => {
            inside.handOut(token);
            await inside.code("paid");
          },
        });
        w.step("b", { after: [paid], retry, run: ({ outputs }) => inside.code("b").then(() => outputs.paid) });
      }),
    ],
    users: [[start], [answerToken]],
  }),
  child: (inside) => {
    const child = workflow("child", {}, (w) => w.step("c", { retry, run: () => inside.code("c").then(() => 3) }));
    const parent = flow((w) => {
      const made = w.child("made", { workflow: child });
      w.step("b", { after: [made], retry, run: ({ outputs }) => inside.code("b").then(() => outputs.made) });
    });
    return { workflows: [parent, child], users: [[start]] };
  },
  map: (inside) =>
    started(
      withSmallShards(
        flow((w) => {
          w.map("all", {
            items: () => [1, 2],
            retry,
            run: ({ item }) => inside.code(`item ${item}`).then(() => item * 10),
          });
        }),
      ),
    ),
  starts: (inside) => ({ workflows: [chain(inside, 1)], users: [[start], [start]] }),
  pause: (inside) => ({
    workflows: [chain(inside, 2)],
    users: [
      [start],
      [
        operation("pause", (commands) => commands.pause(runId)),
        operation("resume", (commands) => commands.resume(runId)),
      ],
    ],
  }),
  cancel: (inside) => cancelled(chain(inside, 1)),
  "cancel-join": (inside) => cancelled(join(inside)),
  "cancel-undo": (inside) => cancelled(undoable(inside)),
  redrive: (inside) => ({
    ...redriven(inside, async () => {
      await inside.code("b");
      throw new FatalError("as planned, also after the redrive");
    }),
    // Whoever does not hear that the run was redriven does it again, when it has failed again.
    mayEnd: ["failed"],
  }),
  /** Only a crash fails it. */
  "redrive-lost": (inside) => ({
    ...redriven(inside, () => inside.code("b").then(() => 2), crashesMost),
    mayEnd: ["succeeded"],
  }),
};

const start: Operation = { label: "start", act: (commands) => commands.start("flow", { runId }) };

function operation(label: string, act: Operation["act"]): Operation {
  return { label, act, mayBegin: (world) => isAt(world, () => true) };
}

/** A party that was given the token of an attempt which is over asks nobody: the next attempt gives it another. */
const answerToken: Operation = {
  label: "answer by the token",
  mayBegin: (world) => world.tokens.some((token) => !world.usedTokens.has(token)),
  act: async ({ callbacks }, world) => {
    const token = world.tokens.findLast((one) => !world.usedTokens.has(one)) ?? "";
    try {
      return await callbacks.succeed(token, 5);
    } finally {
      world.usedTokens.add(token);
    }
  },
  isRepeated: true,
};

function isAt(world: ExploredWorld, holds: (run: RunState) => boolean): boolean {
  const run = world.world.seen.run(runId);
  return run !== undefined && holds(run);
}

function flow(build: (w: WorkflowBuilder<undefined>) => void): Workflow {
  return workflow("flow", {}, (w) => {
    build(w);
  });
}

function started(of: Workflow): Graph {
  return { workflows: [of], users: [[start]] };
}

function cancelled(of: Workflow): Graph {
  const cancel = operation("cancel", (commands) => commands.cancel(runId));
  return { workflows: [of], users: [[start], [cancel]], mayEnd: ["succeeded", "cancelled"] };
}

/** No more of them are explored with it. */
const crashesMost = 3;

/** A run whose second step has failed is redriven, so many times at most. */
function redriven(inside: Inside, run: () => Promise<unknown>, times = 1): Graph {
  const of = flow((w) => {
    const a = w.step("a", { retry, run: () => inside.code("a").then(() => 1) });
    w.step("b", { after: [a], retry: { maxAttempts: 1 }, run: () => run() as Promise<number> });
  });
  const redrive: Operation = {
    label: "redrive",
    mayBegin: (world) => isAt(world, ({ status }) => status === "failed"),
    act: (commands) => commands.redrive(runId),
  };
  return { workflows: [of], users: [[start], Array.from({ length: times }, () => redrive)] };
}

function chain(inside: Inside, length: number, idempotent = false): Workflow {
  return flow((w) => {
    let before = w.step("s0", { retry, idempotent, run: () => inside.code("s0").then(() => 1) });
    for (let at = 1; at < length; at++) {
      const { id } = before;
      before = w.step(`s${at}`, {
        after: [before],
        retry,
        idempotent,
        run: ({ outputs }) => inside.code(`s${at}`).then(() => outputs[id] + 1),
      }) as typeof before;
    }
  });
}

function join(inside: Inside): Workflow {
  return flow((w) => {
    const a = w.step("a", { retry, run: () => inside.code("a").then(() => 1) });
    const b = w.step("b", { retry, run: () => inside.code("b").then(() => 2) });
    const sum = ({ a, b }: { a: number; b: number }): number => a + b;
    w.step("c", { after: [a, b], retry, run: ({ outputs }) => inside.code("c").then(() => sum(outputs)) });
  });
}

/** Two steps that are undone, as the last one fails. */
function failing(inside: Inside): Workflow {
  return flow((w) => {
    const a = w.step("a", {
      retry,
      run: () => inside.code("a").then(() => 1),
      compensate: { retry, run: () => inside.code("undo a") },
    });
    w.step("b", {
      after: [a],
      run: async () => {
        await inside.code("b");
        throw new FatalError("as planned");
      },
    });
  });
}

function undoable(inside: Inside): Workflow {
  return flow((w) => {
    const a = w.step("a", {
      retry,
      run: () => inside.code("a").then(() => 1),
      compensate: { retry, run: () => inside.code("undo a") },
    });
    w.step("b", { after: [a], retry, run: () => inside.code("b").then(() => 2) });
  });
}
