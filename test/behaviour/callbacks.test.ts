// Hunts: an answer that is lost, counts twice or for another attempt, a token that outlives its attempt or leaks.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { FatalError, type RunView, workflow } from "../../lib/index.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { gate, type Harness, harness, statuses } from "./harness.ts";
import { Rig } from "./rig.ts";

const minute = 60_000;
const day = 86_400_000;
const Payment = z.object({ reference: z.string(), cents: z.number().default(0) });
const backoff = { type: "fixed", base: "10s" } as const;

/** Tokens in the order in which they were handed out. */
const tokens: string[] = [];
const newest = (): string => tokens.at(-1) ?? "";
const handOut = ({ token }: { readonly token: string }): void => void tokens.push(token);

const order = workflow("order", {}, (w) => {
  const quote = w.step("quote", { run: () => ({ id: "Q-1" }) });
  const paid = w.callback("payment", {
    after: [quote],
    output: Payment,
    run: ({ token, outputs }) => {
      expect(outputs.quote.id).toBe("Q-1");
      handOut({ token });
    },
    timeout: "2d",
    heartbeatTimeout: "10m",
    retry: { maxAttempts: 3, backoff },
  });
  return w.step("ship", { after: [paid], run: ({ outputs }) => outputs.payment.reference });
});

async function asked(passMs = 0): Promise<Harness & { readonly runId: string }> {
  const world = await harness([order]);
  const { runId } = await world.run(order, undefined, passMs);
  return { ...world, runId };
}

const notFound = {
  code: "callback_not_found",
  message: "No callback waits for an answer by this token: it is unknown, was used before, or its attempt is over.",
};

describe("an answer by task token", () => {
  test("ends the wait, and what it brings is the step's output, as its schema makes it", async () => {
    const { engine, pass, show, runId } = await asked();
    expect((await show(runId)).steps.payment).toMatchObject({ status: "waiting", waitsFor: "callback", attempt: 1 });
    const answered = await engine.commands.callbacks.succeed(newest(), { reference: "P-7" });
    expect(answered).toEqual({ runId, status: "running" });
    await pass(0);
    expect(await show(runId)).toMatchObject({
      status: "succeeded",
      output: "P-7",
      steps: { payment: { output: { reference: "P-7", cents: 0 } } },
    });
    // Its timers change nothing any more.
    await pass(3 * day);
    expect((await show(runId)).steps.payment).toMatchObject({ status: "succeeded", attempt: 1 });
  });

  test("counts once, whatever comes second", async () => {
    const { engine, show, runId } = await asked();
    const { succeed, fail, heartbeat } = engine.commands.callbacks;
    await succeed(newest(), { reference: "P-7" });
    await expect(succeed(newest(), { reference: "P-7" })).rejects.toMatchObject(notFound);
    await expect(fail(newest(), { message: "no" })).rejects.toMatchObject(notFound);
    await expect(heartbeat(newest())).rejects.toMatchObject(notFound);
    expect((await show(runId)).steps.payment).toMatchObject({ status: "succeeded", output: { reference: "P-7" } });
  });

  test("is refused in the same words for tokens that are unknown, changed or nothing at all", async () => {
    const { engine, show, runId } = await asked();
    const token = newest();
    const known = Buffer.from(token, "base64url").toString();
    const altered = [
      known.replace(/^./, (letter) => (letter === "x" ? "y" : "x")),
      known.replace("/1/0/1/", "/0/0/1/"),
      known.replace("/1/0/1/", "/1/1/1/"),
      known.replace("/1/0/1/", "/1/0/2/"),
      known.replace("/1/0/1/", "/99/0/1/"),
      `${known}x`,
    ].map((text) => Buffer.from(text).toString("base64url"));
    for (const text of [...altered, "", "nonsense", runId, "x".repeat(10_000), token.slice(0, -4)]) {
      expect(text).not.toBe(token);
      await expect(engine.commands.callbacks.succeed(text, { reference: "P" }), text).rejects.toMatchObject(notFound);
    }
    expect((await show(runId)).steps.payment?.status).toBe("waiting");
  });

  test("whose output does not fit leaves the token as it was", async () => {
    const { engine, pass, show, runId } = await asked();
    const { succeed } = engine.commands.callbacks;
    await expect(succeed(newest(), { reference: 7 })).rejects.toMatchObject({
      code: "invalid_payload",
      message:
        'The output of callback "payment" is not valid. reference: Invalid input: expected string, received number',
    });
    await expect(succeed(newest(), { reference: "x".repeat(limits.payloadBytes) })).rejects.toMatchObject({
      code: "payload_too_large",
    });
    await expect(succeed(newest())).rejects.toMatchObject({ code: "invalid_payload" });
    expect((await show(runId)).steps.payment?.status).toBe("waiting");
    await succeed(newest(), { reference: "x".repeat(300_000) });
    await pass(0);
    expect(await engine.commands.output(runId)).toHaveLength(300_000);
  });

  test("that says no is followed by another attempt with another token, and the former one is dead", async () => {
    const { engine, pass, show, runId } = await asked();
    const first = newest();
    const { succeed, fail } = engine.commands.callbacks;
    await fail(first, { name: "CardDeclined", message: "Insufficient funds" });
    const declined = { name: "CardDeclined", message: "Insufficient funds" };
    expect((await show(runId)).steps.payment).toMatchObject({ status: "backing_off", attempt: 1, error: declined });
    await expect(succeed(first, { reference: "P-1" })).rejects.toMatchObject(notFound);
    await pass(10_000);
    expect(newest()).not.toBe(first);
    await expect(succeed(first, { reference: "P-1" })).rejects.toMatchObject(notFound);
    await succeed(newest(), { reference: "P-2" });
    await pass(0);
    expect(await show(runId)).toMatchObject({ output: "P-2", steps: { payment: { status: "succeeded", attempt: 2 } } });
  });

  test("that says no for good fails the step at once", async () => {
    const { engine, pass, show, runId } = await asked();
    await engine.commands.callbacks.fail(newest(), { message: "The customer is bankrupt", retryable: false });
    await pass(0);
    expect(await show(runId)).toMatchObject({
      status: "failed",
      error: { name: "CallbackFailed", message: "The customer is bankrupt", step: "payment" },
      steps: { payment: { status: "failed", attempt: 1 }, ship: { status: "pending" } },
    });
  });

  test("reaches a paused run, which goes on with it when it is resumed; an ended one hears nothing", async () => {
    const { engine, pass, show, runId } = await asked();
    await engine.commands.pause(runId);
    await engine.commands.callbacks.heartbeat(newest());
    await engine.commands.callbacks.succeed(newest(), { reference: "P-7" });
    await pass(day);
    expect(statuses(await show(runId))).toEqual({ quote: "succeeded", payment: "succeeded", ship: "pending" });
    await engine.commands.resume(runId);
    await pass(0);
    expect((await show(runId)).status).toBe("succeeded");

    const other = await engine.commands.start("order");
    await pass(0);
    await engine.commands.cancel(other.runId);
    await expect(engine.commands.callbacks.succeed(newest(), { reference: "P" })).rejects.toMatchObject(notFound);
    // A redriven run asks anew, and only that token counts.
    const former = newest();
    await engine.commands.redrive(other.runId);
    await pass(0);
    await expect(engine.commands.callbacks.succeed(former, { reference: "P" })).rejects.toMatchObject(notFound);
    await engine.commands.callbacks.succeed(newest(), { reference: "P-8" });
    await pass(0);
    expect(await show(other.runId)).toMatchObject({ status: "succeeded", output: "P-8" });
  });

  test("of a callback without a schema brings nothing", async () => {
    const bare = workflow("bare", {}, (w) => {
      const go = w.callback("go", { run: handOut });
      return w.step("end", { after: [go], run: ({ outputs }) => typeof outputs.go });
    });
    const { run, engine, pass, show } = await harness([bare]);
    const { runId, steps } = await run(bare, undefined);
    expect(steps.go).not.toHaveProperty("waitsUntil");
    await expect(engine.commands.callbacks.succeed(newest(), 5)).rejects.toMatchObject({
      code: "invalid_payload",
      message: 'Callback "go" takes no output; answer without one.',
    });
    await pass(300 * day);
    await engine.commands.callbacks.succeed(newest());
    await pass(0);
    expect((await show(runId)).output).toBe("undefined");
  });
});

describe("an answer while the step's code still runs", () => {
  const release = { open: (): void => undefined };
  const slow = workflow("slow", {}, (w) => {
    const go = w.callback("go", {
      output: z.string(),
      attemptTimeout: "10m",
      retry: { maxAttempts: 2, backoff },
      run: async ({ token, signal }) => {
        handOut({ token });
        const held = gate();
        release.open = () => {
          held.open();
        };
        signal.addEventListener("abort", release.open);
        await held.promise;
      },
    });
    return w.step("end", { after: [go], run: ({ outputs }) => outputs.go });
  });

  test("counts at once, and the code may go on to its end", async () => {
    const { run, engine, pass, show, logs } = await harness([slow]);
    const { runId } = await run(slow, undefined, 1_000);
    await engine.commands.callbacks.heartbeat(newest());
    await engine.commands.callbacks.succeed(newest(), "early");
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: "early" });
    release.open();
    await pass(5 * minute);
    expect((await show(runId)).steps.go).toMatchObject({ status: "succeeded", attempt: 1, output: "early" });
    expect(logs.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("that says no is followed by another attempt, although the code of the first has not returned", async () => {
    const { run, engine, pass, show } = await harness([slow]);
    const { runId } = await run(slow, undefined, 1_000);
    await engine.commands.callbacks.fail(newest(), { message: "busy" });
    await pass(20_000);
    expect((await show(runId)).steps.go).toMatchObject({ status: "running", attempt: 2 });
    await engine.commands.callbacks.succeed(newest(), "second");
    release.open();
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: "second", steps: { go: { attempt: 2 } } });
  });
});

describe("a callback that nobody answers", () => {
  test("fails its attempt when the wait is over; the last attempt fails the step", async () => {
    const asks = workflow("asks", {}, (w) =>
      w.callback("go", { run: handOut, timeout: "1h", retry: { maxAttempts: 2, backoff } }),
    );
    const { run, pass, show, engine } = await harness([asks]);
    const { runId, steps } = await run(asks, undefined, 59 * minute);
    expect(Date.parse(steps.go?.waitsUntil ?? "") - Date.parse(steps.go?.startedAt ?? "")).toBe(60 * minute);
    await engine.commands.callbacks.heartbeat(newest());
    await pass(minute);
    const late = { name: "CallbackTimeout", message: 'Callback "go" was not answered within 3600 s.' };
    expect((await show(runId)).steps.go).toMatchObject({ status: "backing_off", attempt: 1, error: late });
    await pass(10_000 + 60 * minute);
    expect(await show(runId)).toMatchObject({
      status: "failed",
      error: { ...late, step: "go" },
      steps: { go: { status: "failed", attempt: 2, error: late } },
    });
    await expect(engine.commands.callbacks.succeed(newest())).rejects.toMatchObject(notFound);
  });

  test("and gives no sign of life fails sooner", async () => {
    const { engine, pass, show, runId } = await asked();
    for (let beat = 0; beat < 30; beat++) {
      await pass(9 * minute);
      await engine.commands.callbacks.heartbeat(newest());
    }
    expect((await show(runId)).steps.payment).toMatchObject({ status: "waiting", attempt: 1 });
    await pass(10 * minute - 1);
    expect((await show(runId)).steps.payment).toMatchObject({ status: "waiting", attempt: 1 });
    await pass(minute);
    expect((await show(runId)).steps.payment).toMatchObject({
      attempt: 2,
      status: "waiting",
    });
    const failed = await lastAttempt(runId, pass, show);
    expect(failed.error).toEqual({
      name: "HeartbeatTimeout",
      message: 'Callback "payment" had neither an answer nor a heartbeat within 600 s.',
      step: "payment",
      fingerprint: expect.stringMatching(/^[0-9a-v]{12}$/),
    });
  });

  test("signs of life do not put the end of the whole wait off", async () => {
    const { engine, pass, show, runId } = await asked();
    const token = newest();
    for (let passed = 0; passed < 2 * day; passed += 5 * minute) {
      await engine.commands.callbacks.heartbeat(token);
      await pass(5 * minute);
    }
    expect((await show(runId)).steps.payment).toMatchObject({
      status: "backing_off",
      attempt: 1,
      error: { name: "CallbackTimeout" },
    });
  }, 30_000);

  test("of a run that fails elsewhere is not waited for", async () => {
    const release = gate();
    const mixed = workflow("mixed", {}, (w) => {
      w.callback("asked", { run: handOut });
      w.step("fails", { run: () => release.promise.then(() => Promise.reject(new FatalError("as planned"))) });
    });
    const { run, pass, show, engine } = await harness([mixed]);
    const { runId } = await run(mixed, undefined);
    release.open();
    await pass(0);
    expect(statuses(await show(runId))).toEqual({ asked: "cancelled", fails: "failed" });
    await expect(engine.commands.callbacks.succeed(newest())).rejects.toMatchObject(notFound);
  });
});

async function lastAttempt(runId: string, pass: Harness["pass"], show: Harness["show"]): Promise<RunView> {
  for (let tries = 0; tries < 10 && (await show(runId)).status === "running"; tries++) await pass(10 * minute);
  return show(runId);
}

describe("the code of a callback", () => {
  test("that throws is tried again; a timeout counts as well", async () => {
    const flaky = workflow("flaky", {}, (w) =>
      w.callback("go", {
        attemptTimeout: "5s",
        retry: { maxAttempts: 3, backoff, isRetryable: (error) => !String(error).includes("never") },
        run: async ({ token, attempt, signal }) => {
          handOut({ token });
          if (attempt === 1) throw new Error("the provider is down");
          if (attempt === 2)
            await new Promise((resolve) => {
              signal.addEventListener("abort", resolve);
            });
        },
      }),
    );
    const { run, pass, show, engine } = await harness([flaky]);
    const { runId, steps } = await run(flaky, undefined);
    expect(steps.go).toMatchObject({ status: "backing_off", error: { message: "the provider is down" } });
    const first = newest();
    await pass(10_000);
    await pass(15_000);
    expect((await show(runId)).steps.go).toMatchObject({ status: "waiting", attempt: 3 });
    await expect(engine.commands.callbacks.succeed(first)).rejects.toMatchObject(notFound);
    await engine.commands.callbacks.succeed(newest());
    await pass(0);
    expect((await show(runId)).status).toBe("succeeded");
  });

  test("may be skipped, and its token is in no log, no error and no record", async () => {
    const leaks = workflow("leaks", {}, (w) => {
      const skipped = w.callback("skipped", { when: () => false, run: handOut });
      w.callback("leaks", {
        after: [skipped],
        retry: { maxAttempts: 1 },
        onFailure: "continue",
        run: ({ token, background }) => {
          handOut({ token });
          background(Promise.reject(new Error(`GET /status?token=${token}`)));
          throw new Error(`POST https://provider.example/?token=${token} answers 503`, {
            cause: new Error(`with ${token}`),
          });
        },
      });
      w.callback("quiet", { after: [skipped], run: handOut });
    });
    const { run, logs, pass } = await harness([leaks]);
    const before = tokens.length;
    const shown = await run(leaks, undefined);
    await pass(0);
    expect(tokens.length - before).toBe(2);
    expect(shown.steps.skipped?.status).toBe("skipped");
    expect(shown.steps.leaks?.error?.message).toContain(
      "token=(task token) answers 503 (cause: Error: with (task token)",
    );
    const told = JSON.stringify([shown, logs.map(({ message, fields }) => [message, String(fields.error), fields])]);
    for (const token of tokens.slice(before)) {
      const [secret = ""] = Buffer.from(token, "base64url").toString().split("/");
      expect(secret).toMatch(/^[\w-]{43}$/);
      expect(told).not.toContain(token);
      expect(told).not.toContain(secret);
    }
  });
});

describe("processes that die", () => {
  const work = workflow("work", {}, (w) => {
    const go = w.callback("go", {
      output: z.number(),
      run: async ({ token, attempt }) => {
        handOut({ token });
        if (attempt === 1) await new Promise(() => undefined);
      },
    });
    return w.step("end", { after: [go], run: ({ outputs }) => outputs.go });
  });
  const calm = workflow("calm", {}, (w) => {
    const go = w.callback("go", { output: z.number(), heartbeatTimeout: "10m", run: handOut });
    return w.step("end", { after: [go], run: ({ outputs }) => outputs.go });
  });

  test("between claim and wait: the next attempt has a token of its own, and the former one is dead", async () => {
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    await rig.crash();
    const lost = newest();
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(rig.worker());
    expect((await rig.show(runId)).steps.go).toMatchObject({ status: "waiting", attempt: 2 });
    await expect(rig.commands.callbacks.succeed(lost, 1)).rejects.toMatchObject(notFound);
    await rig.commands.callbacks.succeed(newest(), 2);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 2 });
  });

  test("between claim and wait: an answer that comes before anybody takes over counts", async () => {
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    await rig.crash();
    await rig.commands.callbacks.succeed(newest(), 1);
    await rig.deliverAll(rig.worker());
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 1, steps: { go: { attempt: 1 } } });
  });

  test("between the answer and its effects: the nudge that was armed before brings them", async () => {
    const rig = new Rig([calm]);
    const { runId } = await rig.commands.start("calm");
    await rig.deliverAll(rig.worker());
    let sends = 0;
    const queue = {
      send: (...messages: Parameters<typeof rig.ports.queue.send>) =>
        ++sends === 1 ? rig.ports.queue.send(...messages) : Promise.reject(new Error("dies here")),
    };
    const dying = createCommands({ workflows: [calm], ports: { ...rig.ports, queue } });
    await expect(dying.callbacks.succeed(newest(), 3)).rejects.toThrow("dies here");
    expect((await rig.show(runId)).status).toBe("running");
    await rig.clock.advance(limits.nudgeDelayMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 3 });
  });

  test("before a heartbeat is written: the wait ends as if there had been none", async () => {
    const rig = new Rig([calm]);
    const { runId } = await rig.commands.start("calm");
    await rig.deliverAll(rig.worker());
    const store: RunStore = { ...rig.ports.store, update: () => Promise.reject(new Error("dies here")) };
    const dying = createCommands({ workflows: [calm], ports: { ...rig.ports, store } });
    await rig.clock.advance(5 * minute);
    await expect(dying.callbacks.heartbeat(newest())).rejects.toThrow("dies here");
    await rig.clock.advance(5 * minute);
    await rig.deliverAll(rig.worker());
    expect((await rig.show(runId)).steps.go).toMatchObject({
      status: "backing_off",
      error: { name: "HeartbeatTimeout" },
    });
  });

  test("heartbeats leave no trail of timers", async () => {
    const rig = new Rig([calm]);
    await rig.commands.start("calm");
    await rig.deliverAll(rig.worker());
    let deliveries = 0;
    for (let second = 0; second < 3_600; second += 15) {
      await rig.commands.callbacks.heartbeat(newest());
      await rig.clock.advance(15_000);
      while (!rig.isIdle()) {
        await rig.deliver(rig.worker());
        deliveries++;
      }
    }
    expect(deliveries).toBeLessThanOrEqual(10);
  });

  test("a lost response, and a write that the client repeats, is our own success", async () => {
    const rig = new Rig([calm]);
    const store: RunStore = {
      ...rig.ports.store,
      update: async (id, transition) => {
        await rig.ports.store.update(id, transition);
        return rig.ports.store.update(id, transition);
      },
    };
    const again = createCommands({ workflows: [calm], ports: { ...rig.ports, store } });
    const { runId } = await rig.commands.start("calm");
    await rig.deliverAll(rig.worker());
    await rig.clock.advance(minute);
    await again.callbacks.heartbeat(newest());
    expect(await again.callbacks.fail(newest(), { message: "busy" })).toEqual({ runId, status: "running" });
    await rig.clock.advance(minute);
    await rig.deliverAll(rig.worker());
    expect(await again.callbacks.succeed(newest(), 4)).toEqual({ runId, status: "running" });
    await atRest();
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 4 });
  });

  test("the code that could check an answer is gone: told, and the token stays usable", async () => {
    const rig = new Rig([calm]);
    await rig.commands.start("calm");
    await rig.deliverAll(rig.worker());
    const other = workflow("calm", {}, (w) => w.step("go", { run: () => 1 }));
    const elsewhere = createCommands({ workflows: [other], ports: rig.ports });
    await expect(elsewhere.callbacks.succeed(newest(), 5)).rejects.toMatchObject({
      code: "status_conflict",
      message: expect.stringContaining('has no callback "go" any more') as unknown,
    });
    await rig.commands.callbacks.succeed(newest(), 5);
  });
});
