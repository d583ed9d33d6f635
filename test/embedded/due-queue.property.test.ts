// Hunts an order or a receipt that a long mix of operations on the heap gets wrong, against a plain list.
import fc from "fast-check";
import { expect, test } from "vitest";
import { DueQueue } from "../../lib/embedded/due-queue.ts";

type Operation =
  | { readonly kind: "add"; readonly dueAtMs: number }
  | { readonly kind: "take"; readonly max: number; readonly visibilityMs: number }
  | { readonly kind: "remove" | "giveBack" | "prolong"; readonly pick: number; readonly dueAtMs: number }
  | { readonly kind: "pass"; readonly ms: number };

const time = fc.nat({ max: 50 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), dueAtMs: time }),
  fc.record({ kind: fc.constant("take" as const), max: fc.nat({ max: 5 }), visibilityMs: time }),
  fc.record({ kind: fc.constantFrom("remove", "giveBack", "prolong"), pick: fc.nat(), dueAtMs: time }),
  fc.record({ kind: fc.constant("pass" as const), ms: fc.nat({ max: 10 }) }),
);

test("delivers what a sorted list would, whatever came before", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const queue = new DueQueue();
      const model = new Map<number, { dueAtMs: number; receiveCount: number; receipt: string | undefined }>();
      const stale: string[] = [];
      let nowMs = 0;
      let lastId = 0;

      const inOrder = () => [...model].sort(([a, left], [b, right]) => left.dueAtMs - right.dueAtMs || a - b);
      const end = (id: number): void => {
        const { receipt } = model.get(id)!;
        if (receipt !== undefined) stale.push(receipt);
      };

      for (const step of operations) {
        const ids = [...model.keys()];
        switch (step.kind) {
          case "add": {
            const id = (lastId += 1);
            model.set(id, { dueAtMs: step.dueAtMs, receiveCount: 0, receipt: undefined });
            const message = { id, taskQueue: "q", json: String(id), scheduledAtMs: 0, dueAtMs: step.dueAtMs };
            queue.add({ ...message, receiveCount: 0, failures: 0 });
            break;
          }
          case "take": {
            const expected = inOrder()
              .filter(([, { dueAtMs }]) => dueAtMs <= nowMs)
              .slice(0, step.max);
            const taken = queue.take(step.max, nowMs, step.visibilityMs);
            expect(taken.map(({ body }) => body)).toEqual(expected.map(([id]) => id));
            taken.forEach(({ receipt, receiveCount }, n) => {
              const [id, entry] = expected[n]!;
              end(id);
              expect(receiveCount).toBe(entry.receiveCount + 1);
              model.set(id, { dueAtMs: nowMs + step.visibilityMs, receiveCount, receipt });
            });
            break;
          }
          case "pass":
            nowMs += step.ms;
            break;
          case "remove":
          case "giveBack":
          case "prolong": {
            const id = ids[step.pick % Math.max(1, ids.length)];
            if (id === undefined) break;
            if (step.kind === "prolong") {
              queue.prolong(id, step.dueAtMs);
              model.get(id)!.dueAtMs = step.dueAtMs;
              break;
            }
            end(id);
            if (step.kind === "remove") queue.remove(id);
            else queue.giveBack(id, nowMs, step.dueAtMs);
            if (step.kind === "remove") model.delete(id);
            else Object.assign(model.get(id)!, { dueAtMs: step.dueAtMs, receipt: undefined });
          }
        }
        expect(queue.nextDueAtMs()).toBe(inOrder()[0]?.[1].dueAtMs);
        for (const receipt of stale) expect(queue.held(receipt)).toBeUndefined();
        for (const [id, { receipt }] of model) if (receipt !== undefined) expect(queue.held(receipt)?.id).toBe(id);
      }
    }),
  );
});
