// Hunts: a client that gives a result, or takes an input, of another type than the definition says.
import * as z from "zod";
import type { Client } from "../../lib/client/index.ts";
import { workflow } from "../../lib/index.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<Expected>() {
  return <Actual>(_value: Actual & (Equal<Actual, Expected> extends true ? unknown : never)): void => undefined;
}

declare const client: Client;

const order = workflow("order", { input: z.object({ id: z.string() }) }, (w) =>
  w.step("ship", { run: async ({ input }) => ({ parcel: input.id }) }),
);
const maybe = workflow("maybe", {}, (w) => w.step("perhaps", { when: () => true, run: () => 1 }));
const nothing = workflow("nothing", {}, (w) => {
  w.step("work", { run: () => undefined });
});
const checked = workflow("checked", {}, (w) =>
  w.step("parse", { output: z.object({ at: z.string() }), run: () => ({ at: "now" }) }),
);

export async function results(): Promise<void> {
  expectType<{ parcel: string }>()(await client.result(order, "r"));
  expectType<number | undefined>()(await client.result(maybe, "r", { timeout: "1h" }));
  // eslint-disable-next-line @typescript-eslint/no-confusing-void-expression -- that it is undefined is what is tested
  const none = await client.result(nothing, "r");
  expectType<undefined>()(none);
  expectType<{ at: string }>()(await client.result(checked, "r"));
  // @ts-expect-error: a run is found by its id, its workflow is what gives the type
  await client.result("order", "r");
  // @ts-expect-error: no duration
  await client.result(order, "r", { timeout: 1_000 });
}

export async function starts(): Promise<void> {
  await client.start(order, { input: { id: "A-1" } });
  await client.start(nothing);
  await client.start("order", { input: 1 });
  await client.start("order");
  // @ts-expect-error: it needs its input
  await client.start(order);
  // @ts-expect-error: another input
  await client.start(order, { input: { id: 1 } });
}
