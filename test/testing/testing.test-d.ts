// Hunts: tools for tests that take code which the workflow would not. Every @ts-expect-error must be an error.
import * as z from "zod";
import { workflow } from "../../lib/index.ts";
import { createTestEngine, explore, verifyIdempotent } from "../../lib/testing/index.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<Expected>() {
  return <Actual>(_value: Actual & (Equal<Actual, Expected> extends true ? unknown : never)): void => undefined;
}

const child = workflow("child", {}, (w) => w.step("inner", { run: () => "own" }));

const order = workflow("order", { input: z.object({ cents: z.number().default(1) }) }, (w) => {
  const check = w.step("check", { output: z.object({ ok: z.stringbool() }), run: () => ({ ok: "yes" }) });
  const charge = w.step("charge", {
    after: [check],
    run: () => ({ paymentId: "P" }),
    compensate: () => undefined,
  });
  const sub = w.child("sub", { after: [charge], workflow: child });
  const look = w.poll("look", {
    run: () => 1,
    until: () => true,
    interval: { type: "fixed", base: "1s" },
    timeout: "1m",
  });
  const call = w.callback("call", { run: () => undefined, output: z.number() });
  const items = w.map("items", { after: [sub], items: () => ["a"], run: ({ item }) => item.length });
  const word = w.signal("word", { after: [items], payload: z.string() });
  w.step("beside", { after: [charge], run: () => undefined });
  return w.step("last", { after: [check, word, look, call], run: ({ outputs }) => outputs.word.length });
});

const engine = await createTestEngine({
  workflows: [order, child],
  mock: {
    order: {
      check: { returns: { ok: "no" } },
      charge: {
        run: ({ input, outputs, attempt, idempotencyKey }) => {
          expectType<{ cents: number }>()(input);
          expectType<{ readonly check: { ok: boolean } }>()(outputs);
          expectType<number>()(attempt);
          return { paymentId: idempotencyKey };
        },
        compensate: ({ output, outcome }) => {
          expectType<{ paymentId: string } | undefined>()(output);
          expectType<"succeeded" | "unknown">()(outcome);
        },
      },
      look: async ({ attempt }) => attempt,
      call: ({ token }) => expectType<string>()(token),
      items: ({ item, index }) => {
        expectType<string>()(item);
        return index;
      },
    },
    child: { inner: () => "mocked" },
  },
  // Leads to no output: that it is there is seen when the engine is made.
  mockOther: { order: { beside: ({ attempt }) => expectType<number>()(attempt) } },
});

await createTestEngine({
  workflows: [order],
  // @ts-expect-error: no step that leads to its output
  mock: { order: { chrage: () => ({ paymentId: "P" }) } },
});
await createTestEngine({
  workflows: [order],
  // @ts-expect-error: no workflow that it was given
  mock: { odrer: {} },
});

await createTestEngine({
  workflows: [order],
  // @ts-expect-error: another output
  mock: { order: { charge: () => ({ payment: "P" }) } },
});
await createTestEngine({
  workflows: [order],
  // @ts-expect-error: what its schema gives, not what it takes
  mock: { order: { check: { returns: { ok: true } } } },
});
await createTestEngine({
  workflows: [order],
  // @ts-expect-error: no error
  mock: { order: { charge: { fails: "busy" } } },
});
await createTestEngine({
  workflows: [order],
  // @ts-expect-error: no duration
  mock: { order: { charge: { takes: "soon" } } },
});
await createTestEngine({
  workflows: [order],
  // @ts-expect-error: outputs of steps that it does not name
  mock: { order: { charge: ({ outputs }) => ({ paymentId: outputs.word }) } },
});

const run = await engine.start(order, { input: {} });
expectType<number>()(await run.output());
const [call] = await run.calls("charge");
expectType<{ readonly check: { ok: boolean } } | undefined>()(call?.outputs);
expectType<{ cents: number } | undefined>()(call?.input);
const [other] = await run.calls("beside");
expectType<unknown>()(other?.outputs);
// @ts-expect-error: it needs an input
await engine.start(order);
// @ts-expect-error: of another type
await engine.start(order, { input: { cents: "1" } });
// @ts-expect-error: no duration
await engine.advance("3 days");

await explore(child, {});
await explore(
  (t) => {
    const clock = t.service("clock", { now: () => 1 }, { repeatable: ["now"], state: (it) => it.now() });
    expectType<{ now: () => number }>()(clock);
    return order;
  },
  { input: {}, signals: { word: "x" }, mock: { charge: { returns: { paymentId: "P" } } } },
);
// @ts-expect-error: it needs an input
await explore(order, {});
// @ts-expect-error: another output
await explore(order, { input: {}, mock: { charge: { returns: 1 } } });
// @ts-expect-error: no method of it
await explore((t) => (t.service("clock", { now: () => 1 }, { repeatable: ["then"] }), child), {});

await verifyIdempotent(order, "charge", { input: { cents: 1 }, outputs: { check: { ok: true } } });
// @ts-expect-error: of another type
await verifyIdempotent(order, "charge", { input: { cents: 1 }, outputs: { check: { ok: "yes" } } });
