// Hunts: an answer that is lost, taken for another question or not checked, and a question that parks nothing.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { FatalError, type RunView, workflow } from "../../lib/index.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { gate, type Harness, harness, statuses } from "./harness.ts";
import { Rig } from "./rig.ts";

const day = 86_400_000;
const Verdict = z.object({ ok: z.boolean(), by: z.string().default("nobody") });

/** What the code did, over all of its runs. */
const done: string[] = [];

const asks = workflow("asks", { timeout: "90d" }, (w) => {
  const review = w.step("review", {
    retry: { maxAttempts: 1 },
    run: async ({ interrupt, attempt }) => {
      done.push(`begins attempt ${attempt}`);
      const first = await interrupt({ question: "Is it good?" }, Verdict);
      done.push(`first is ${first.ok}`);
      const second = await interrupt("And how many?", z.number().int().min(1));
      return { ...first, second };
    },
  });
  return w.step("end", { after: [review], run: ({ outputs }) => outputs.review });
});

const idOf = (run: RunView, step = "review"): string => run.steps[step]?.interrupt?.id ?? "";

async function asked(): Promise<Harness & { readonly runId: string; readonly open: () => Promise<string> }> {
  done.length = 0;
  const world = await harness([asks]);
  const { runId } = await world.run(asks, undefined);
  return { ...world, runId, open: async () => idOf(await world.show(runId)) };
}

describe("an interrupt", () => {
  test("parks its step, shows what is asked, and gives the answer as its schema makes it", async () => {
    const { engine, pass, show, runId, open } = await asked();
    expect((await show(runId)).steps.review).toEqual({
      status: "waiting",
      attempt: 0,
      startedAt: expect.any(String) as unknown,
      waitsFor: "answer",
      interrupt: {
        id: expect.stringMatching(/^[a-z0-9]{10}$/) as unknown,
        payload: { question: "Is it good?" },
        schema: expect.objectContaining({ type: "object", required: ["ok"] }) as unknown,
      },
    });
    await pass(30 * day);
    const first = await open();
    await engine.commands.answer(runId, first, { ok: true });
    await pass(0);
    const second = await show(runId);
    expect(second.steps.review?.interrupt).toMatchObject({ payload: "And how many?", schema: { type: "integer" } });
    expect(idOf(second)).not.toBe(first);
    await engine.commands.answer(runId, idOf(second), 3);
    await pass(0);
    expect(await show(runId)).toMatchObject({
      status: "succeeded",
      output: { ok: true, by: "nobody", second: 3 },
      steps: { review: { status: "succeeded", attempt: 1 } },
    });
    expect(await show(runId)).not.toHaveProperty("steps.review.interrupt");
    // One attempt, begun three times.
    const begins = "begins attempt 1";
    expect(done).toEqual([begins, begins, "first is true", begins, "first is true"]);
  });

  test("takes one answer: the second click of a button answers nothing else", async () => {
    const { engine, pass, show, runId, open } = await asked();
    const first = await open();
    await engine.commands.answer(runId, first, { ok: false });
    const again = expect.objectContaining({ code: "interrupt_conflict" }) as unknown;
    await expect(engine.commands.answer(runId, first, { ok: true })).rejects.toEqual(again);
    await pass(0);
    expect(await open()).not.toBe("");
    await expect(engine.commands.answer(runId, first, { ok: true })).rejects.toEqual(again);
    expect((await show(runId)).steps.review?.status).toBe("waiting");
    await expect(engine.commands.answer(runId, "nonsense", 1)).rejects.toMatchObject({
      code: "interrupt_not_found",
      message: `Run ${runId} has no interrupt "nonsense". It asks: ${await open()}.`,
    });
  });

  test("refuses an answer that does not fit, says why, and stays open", async () => {
    const { engine, pass, show, runId, open } = await asked();
    const id = await open();
    for (const answer of [undefined, null, 5, {}, { ok: "yes" }]) {
      await expect(engine.commands.answer(runId, id, answer)).rejects.toMatchObject({ code: "invalid_payload" });
    }
    await expect(engine.commands.answer(runId, id, { ok: "yes" })).rejects.toMatchObject({
      message: "The answer is not valid. ok: Invalid input: expected boolean, received string",
    });
    await expect(
      engine.commands.answer(runId, id, { ok: true, by: "x".repeat(limits.payloadBytes) }),
    ).rejects.toMatchObject({
      code: "payload_too_large",
    });
    expect(await open()).toBe(id);
    await engine.commands.answer(runId, id, { ok: true, by: "x".repeat(300_000) });
    await pass(0);
    expect((await show(runId)).steps.review?.interrupt?.payload).toBe("And how many?");
  });

  test("asks again when only the code's own schema refuses the answer", async () => {
    const picky = workflow("picky", {}, (w) =>
      w.step("review", {
        run: async ({ interrupt }) => {
          const name = await interrupt("Your name?", z.string());
          const even = z.number().refine((value) => value % 2 === 0, "must be even");
          return [name, await interrupt("An even number?", even)];
        },
      }),
    );
    const { run, engine, pass, show } = await harness([picky]);
    const { runId } = await run(picky, undefined);
    const answer = async (given: unknown): Promise<void> => {
      await engine.commands.answer(runId, idOf(await show(runId)), given);
      await pass(0);
    };
    await answer("Ada");
    const before = idOf(await show(runId));
    await answer(3);
    const refused = (await show(runId)).steps.review;
    expect(refused).toMatchObject({
      status: "waiting",
      attempt: 0,
      interrupt: { payload: "An even number?", rejected: "✖ must be even" },
    });
    expect(refused?.interrupt?.id).not.toBe(before);
    await answer(4);
    expect(await show(runId)).toMatchObject({
      status: "succeeded",
      output: ["Ada", 4],
      steps: { review: { attempt: 1 } },
    });
  });

  test("whose schema JSON Schema cannot tell is checked by the code alone", async () => {
    const dated = workflow("dated", {}, (w) =>
      w.step("review", {
        run: async ({ interrupt }) =>
          (
            await interrupt(
              "When?",
              z.preprocess((text) => new Date(String(text)), z.date()),
            )
          ).toISOString(),
      }),
    );
    const { run, engine, pass, show } = await harness([dated]);
    const { runId, steps } = await run(dated, undefined);
    expect(steps.review?.interrupt?.schema).toBeNull();
    await engine.commands.answer(runId, idOf(await show(runId)), "never");
    await pass(0);
    expect((await show(runId)).steps.review?.interrupt?.rejected).toContain("expected date");
    await engine.commands.answer(runId, idOf(await show(runId)), "2027-01-31");
    await pass(0);
    expect((await show(runId)).output).toBe("2027-01-31T00:00:00.000Z");
  });

  test("parks its step also when the code swallows what it throws, or does not await it", async () => {
    const swallows = workflow("swallows", {}, (w) => {
      w.step("catches", {
        run: async ({ interrupt }) => {
          try {
            return await interrupt("Go on?", z.boolean());
          } catch {
            return "made up";
          }
        },
      });
      w.step("floats", {
        run: ({ interrupt }) => {
          void interrupt("Anybody?", z.boolean());
          return "made up";
        },
      });
      w.step("throws", {
        run: async ({ interrupt }) => {
          await interrupt("Or fail?", z.boolean()).catch(() => Promise.reject(new FatalError("no answer")));
        },
      });
      w.step("both", {
        run: ({ interrupt }) => Promise.all([interrupt("One?", z.number()), interrupt("Two?", z.number())]),
      });
    });
    const { run, engine, pass, show } = await harness([swallows]);
    const waiting = await run(swallows, undefined);
    const { runId } = waiting;
    expect(new Set(Object.values(statuses(waiting)))).toEqual(new Set(["waiting"]));
    for (const step of ["catches", "floats", "throws"]) await engine.commands.answer(runId, idOf(waiting, step), true);
    await engine.commands.answer(runId, idOf(waiting, "both"), 1);
    await pass(0);
    const second = await show(runId);
    expect(second.steps.both?.interrupt?.payload).toBe("Two?");
    await engine.commands.answer(runId, idOf(second, "both"), 2);
    await pass(0);
    expect(await show(runId)).toMatchObject({
      status: "succeeded",
      steps: { catches: { output: true }, floats: { output: "made up" }, both: { output: [1, 2] } },
    });
  });

  test("that cannot be asked fails the step at once", async () => {
    const broken = workflow("broken", {}, (w) => {
      w.step("unstorable", {
        onFailure: "continue",
        run: ({ interrupt }) => interrupt({ at: new Date() }, z.boolean()),
      });
      w.step("endless", {
        onFailure: "continue",
        run: async ({ interrupt }) => {
          for (;;) await interrupt("More?", z.boolean());
        },
      });
    });
    const { run, engine, pass, show } = await harness([broken]);
    const { runId, steps } = await run(broken, undefined);
    expect(steps.unstorable).toMatchObject({ status: "failed", attempt: 1, error: { name: "InvalidInterrupt" } });
    for (let asked = 0; asked < limits.interruptsPerStep; asked++) {
      await engine.commands.answer(runId, idOf(await show(runId), "endless"), true);
      await pass(0);
    }
    expect((await show(runId)).steps.endless?.error?.message).toBe(
      "interrupt() was called more than 20 times; at most 20 are allowed in a step.",
    );
  });

  test("keeps its answers over attempts that fail, and asks anew after a redrive", async () => {
    let isBroken = true;
    const flaky = workflow("flaky", {}, (w) =>
      w.step("review", {
        retry: { maxAttempts: 2, backoff: { type: "fixed", base: "10s" } },
        run: async ({ interrupt }) => {
          const answer = await interrupt("Well?", z.number());
          if (isBroken) throw new Error("the printer is on fire");
          return answer;
        },
      }),
    );
    const { run, engine, pass, show } = await harness([flaky]);
    const { runId } = await run(flaky, undefined);
    await engine.commands.answer(runId, idOf(await show(runId)), 1);
    await pass(0);
    expect((await show(runId)).steps.review).toMatchObject({ status: "backing_off", attempt: 1 });
    await pass(10_000);
    expect(await show(runId)).toMatchObject({ status: "failed", steps: { review: { attempt: 2 } } });
    isBroken = false;
    await engine.commands.redrive(runId);
    await pass(0);
    expect((await show(runId)).steps.review).toMatchObject({ status: "waiting", attempt: 0 });
    await engine.commands.answer(runId, idOf(await show(runId)), 2);
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: 2 });
  });
});

describe("while a step is parked", () => {
  test("its run may be paused: the answer counts when it is resumed", async () => {
    const { engine, pass, show, runId, open } = await asked();
    await engine.commands.pause(runId);
    await engine.commands.answer(runId, await open(), { ok: true });
    await pass(day);
    expect((await show(runId)).steps.review?.status).toBe("backing_off");
    await engine.commands.resume(runId);
    await pass(0);
    expect((await show(runId)).steps.review?.interrupt?.payload).toBe("And how many?");
  });

  test("its run may be cancelled or time out, and takes no answers then", async () => {
    const { engine, pass, show, runId, open } = await asked();
    const id = await open();
    await engine.commands.cancel(runId);
    await expect(engine.commands.answer(runId, id, { ok: true })).rejects.toMatchObject({ code: "status_conflict" });
    expect(await show(runId)).toMatchObject({ status: "cancelled", steps: { review: { status: "cancelled" } } });
    const other = await engine.commands.start("asks");
    await pass(90 * day);
    expect((await show(other.runId)).status).toBe("timed_out");
  });

  test("a run that fails elsewhere does not wait for it", async () => {
    const release = gate();
    const mixed = workflow("mixed", {}, (w) => {
      w.step("review", { run: ({ interrupt }) => interrupt("Well?", z.boolean()) });
      w.step("fails", { run: () => release.promise.then(() => Promise.reject(new FatalError("as planned"))) });
    });
    const { run, pass, show } = await harness([mixed]);
    const { runId } = await run(mixed, undefined);
    release.open();
    await pass(0);
    expect(statuses(await show(runId))).toEqual({ review: "cancelled", fails: "failed" });
  });
});

describe("processes that die", () => {
  const one = workflow("one", {}, (w) => w.step("review", { run: ({ interrupt }) => interrupt("Well?", z.number()) }));
  async function parked(): Promise<{ rig: Rig; runId: string; id: string }> {
    const rig = new Rig([one]);
    const { runId } = await rig.commands.start("one");
    await rig.deliverAll(rig.worker());
    return { rig, runId, id: idOf(await rig.show(runId)) };
  }

  test("between the answer and its effects: the nudge that was armed before brings them", async () => {
    const { rig, runId, id } = await parked();
    let sends = 0;
    const queue = {
      send: (...messages: Parameters<typeof rig.ports.queue.send>) =>
        ++sends === 1 ? rig.ports.queue.send(...messages) : Promise.reject(new Error("dies here")),
    };
    const dying = createCommands({ workflows: [one], ports: { ...rig.ports, queue } });
    await expect(dying.answer(runId, id, 5)).rejects.toThrow("dies here");
    await rig.clock.advance(limits.nudgeDelayMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 5 });
  });

  test("in the middle of the code that has its answer: the next attempt has it, too", async () => {
    let calls = 0;
    const slow = workflow("one", {}, (w) =>
      w.step("review", {
        run: async ({ interrupt }) => {
          const answer = await interrupt("Well?", z.number());
          if (++calls === 1) await new Promise(() => undefined);
          return answer;
        },
      }),
    );
    const rig = new Rig([slow]);
    const { runId } = await rig.commands.start("one");
    await rig.deliverAll(rig.worker());
    await rig.commands.answer(runId, idOf(await rig.show(runId)), 6);
    await rig.crash();
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 6, steps: { review: { attempt: 2 } } });
  });

  test("a lost response, and a write that the client repeats, is our own success", async () => {
    const { rig, runId, id } = await parked();
    const store: RunStore = {
      ...rig.ports.store,
      update: async (run, transition) => {
        await rig.ports.store.update(run, transition);
        return rig.ports.store.update(run, transition);
      },
    };
    const again = createCommands({ workflows: [one], ports: { ...rig.ports, store } });
    expect((await again.answer(runId, id, 7)).status).toBe("running");
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 7 });
  });

  test("a question that changed with the code: the answer counts when the new code takes it", async () => {
    const changed = (schema: z.ZodType) =>
      workflow("one", {}, (w) => w.step("review", { run: ({ interrupt }) => interrupt("Well, really?", schema) }));
    const { rig, runId, id } = await parked();
    await rig.commands.answer(runId, id, 8);
    await rig.deliverAll(rig.worker([changed(z.string())]));
    expect((await rig.show(runId)).steps.review?.interrupt).toMatchObject({
      payload: "Well, really?",
      schema: { type: "string" },
      rejected: expect.stringContaining("expected string, received number") as unknown,
    });
    await rig.commands.answer(runId, idOf(await rig.show(runId)), "eight");
    await rig.deliverAll(rig.worker([changed(z.union([z.string(), z.number()]))]));
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: "eight" });
  });
});
