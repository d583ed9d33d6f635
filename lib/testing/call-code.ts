/** Calls the code of attempts so that virtual time waits for it. */
import { type Duration, durationForm, parseDuration } from "../definition/duration.ts";
import { limits } from "../definition/limits.ts";
import type { Clock } from "../runtime/ports.ts";
import type { AnyContext } from "./instrument.ts";
import type { CompiledMock } from "./mocks.ts";
import type { RunningCode } from "./running-code.ts";
import { TestError } from "./test-error.ts";

/** The code of an attempt, or what stands in for it, so that virtual time waits for it, and for what it leaves behind. */
export function callCode(
  running: RunningCode,
  mock: CompiledMock | undefined,
  timeoutMs: number,
  context: AnyContext,
  own: (context: AnyContext) => unknown,
): unknown {
  const background = (work: Promise<unknown>): void => {
    context.background(work);
    running.watch(Promise.resolve(work), limits.backgroundMs);
  };
  const given = { ...context, background };
  const call = (code: () => unknown): Promise<unknown> => running.track(invoke(code), timeoutMs, context.signal);
  return mock === undefined ? call(() => own(given)) : mock(given, () => call(() => own(given)), call);
}

/** Whatever it throws is the rejection of a promise. */
export async function invoke(code: () => unknown): Promise<unknown> {
  return code();
}

/** Lets virtual time pass; rejects when it is aborted meanwhile. */
export function waitOn(clock: Pick<Clock, "after">, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** In ms. @throws {TestError} when it is no duration */
export function patienceOf(patience: Duration | undefined): number {
  if (patience === undefined) return Number.POSITIVE_INFINITY;
  const ms = parseDuration(patience);
  if (ms === undefined) throw new TestError(`patience is ${JSON.stringify(patience)}; allowed is ${durationForm}.`);
  return ms;
}
