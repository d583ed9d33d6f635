// Hunts runs that fall apart into many traces, work that is in nobody's trace, and spans that tell payloads.
import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, type ContextManager, context, ROOT_CONTEXT, SpanStatusCode, trace } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as z from "zod";
import { workflow } from "../../lib/index.ts";
import { traceIdOf } from "../../lib/runtime/tracing.ts";
import { harness } from "./harness.ts";

const exporter = new InMemorySpanExporter();

/** What an SDK for Node brings along. */
class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();
  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    current: Context,
    code: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(current, () => code.call(self, ...args));
  }
  bind<T>(_current: Context, target: T): T {
    return target;
  }
  enable(): this {
    return this;
  }
  disable(): this {
    return this;
  }
}

beforeAll(() => {
  context.setGlobalContextManager(new AsyncContexts());
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
});

afterAll(() => {
  trace.disable();
  context.disable();
});

beforeEach(() => {
  exporter.reset();
});

function spansOf(traceId: string): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === traceId);
}

const names = (spans: readonly ReadableSpan[]): string[] => spans.map(({ name }) => name).toSorted();

const order = workflow("order", { input: z.object({ secret: z.string() }) }, (w) => {
  const charge = w.step("charge", {
    retry: { maxAttempts: 3, backoff: { type: "fixed", base: "1m", jitter: "none" } },
    run: ({ attempt }) => {
      trace.getTracer("user").startSpan(`request ${attempt}`).end();
      if (attempt === 1) throw new TypeError("no answer");
      return { receipt: "top secret" };
    },
  });
  w.sleep("rest", { after: [charge], duration: "2h" });
  return w.step("ship", { after: [charge], run: () => "shipped" });
});

const broken = workflow("broken", {}, (w) =>
  w.step("break", {
    retry: { maxAttempts: 1 },
    run: () => {
      throw new RangeError("too far");
    },
  }),
);

describe("one trace per run", () => {
  test("has every attempt, the requests that its code makes, and the run as a whole", async () => {
    const { run, pass, show } = await harness([order]);
    const { runId, fingerprint } = await run(order, { secret: "top secret" }, 1);
    await pass(3 * 3_600_000);
    expect((await show(runId)).status).toBe("succeeded");
    const spans = spansOf(traceIdOf({ runId, fingerprint }));
    expect(names(spans)).toEqual(
      ["request 1", "request 2", "run order", "step charge", "step charge", "step rest", "step ship"].toSorted(),
    );
    expect(exporter.getFinishedSpans()).toHaveLength(spans.length);
    const [first] = spans.filter(({ name }) => name === "step charge");
    expect(first?.attributes).toEqual({
      "pawl.workflow": "order",
      "pawl.run.id": runId,
      "pawl.step": "charge",
      "pawl.attempt": 1,
      "pawl.epoch": 0,
      "pawl.task_queue": "default",
      "error.type": "TypeError",
    });
    expect(first?.status).toEqual({ code: SpanStatusCode.ERROR, message: "TypeError: no answer" });
    const request = spans.find(({ name }) => name === "request 1");
    expect(request?.parentSpanContext?.spanId).toBe(first?.spanContext().spanId);
    expect(JSON.stringify(spans.map(({ attributes, status, events }) => [attributes, status, events]))).not.toContain(
      "secret",
    );
  });

  test("the span of the run goes from its creation to its end and tells how it ended", async () => {
    const { run, clock } = await harness([broken]);
    const beganAtMs = clock.now();
    const { runId, fingerprint, status } = await run(broken, undefined, 1000);
    expect(status).toBe("failed");
    const whole = spansOf(traceIdOf({ runId, fingerprint })).find(({ name }) => name === "run broken");
    expect(whole?.startTime).toEqual([Math.floor(beganAtMs / 1000), (beganAtMs % 1000) * 1_000_000]);
    expect(whole?.attributes).toMatchObject({ "pawl.status": "failed", "error.type": "RangeError" });
    expect(whole?.status.code).toBe(SpanStatusCode.ERROR);
  });

  test("who starts a run while being traced is linked with it, and the invocation with the step", async () => {
    const { engine, pass } = await harness([broken]);
    const request = trace.getTracer("user").startSpan("POST /orders");
    const { runId } = await context.with(trace.setSpan(ROOT_CONTEXT, request), () => engine.start(broken));
    request.end();
    await pass(1);
    const { fingerprint } = await engine.commands.get(runId);
    const traceId = traceIdOf({ runId, fingerprint });
    const posted = exporter.getFinishedSpans().find(({ name }) => name === "POST /orders");
    expect(posted?.links.map((link) => link.context.traceId)).toEqual([traceId]);
    expect(posted?.spanContext().traceId).not.toBe(traceId);
  });

  test("lines of the log name the trace", async () => {
    const { run, logs } = await harness([broken]);
    const { runId, fingerprint } = await run(broken, undefined, 1);
    const failed = logs.find(({ message }) => message === "step failed");
    expect(failed?.fields).toMatchObject({ traceId: traceIdOf({ runId, fingerprint }) });
  });
});

describe("runs of other runs", () => {
  const child = workflow("child", {}, (w) => w.step("work", { run: () => 1 }));
  const parent = workflow("parent", {}, (w) => {
    const kid = w.child("kid", { workflow: child });
    return w.map("each", { after: [kid], items: () => [1, 2, 3], run: ({ item }) => item });
  });

  test("a child has a trace of its own, the items of a map are in the trace of their run", async () => {
    const { run, pass, show } = await harness([parent]);
    const { runId, fingerprint } = await run(parent, undefined, 1);
    await pass(60_000);
    const view = await show(runId);
    expect(view.status).toBe("succeeded");
    const own = names(spansOf(traceIdOf({ runId, fingerprint })));
    expect(own.filter((name) => name.startsWith("run "))).toEqual(["run parent"]);
    expect(own).toEqual(expect.arrayContaining(["step kid", "step each", "step 0", "step 1", "step 2"]));
    const kid = await show(`${runId}~kid`);
    expect(names(spansOf(traceIdOf(kid)))).toEqual(["run child", "step work"]);
  });
});
