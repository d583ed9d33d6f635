/** Skips virtual time, from one moment at which something happens to the next. */
import { TestError } from "./test-error.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/**
 * @param timesMost moments after which it is given up
 * @param isOver asked at each of them, when all that needs no time has happened; told whether no other will come
 * @throws {TestError} when no moment is left, or too many have passed
 */
export async function skipTime(
  clock: VirtualClock,
  timesMost: number,
  isOver: (isLast: boolean) => Promise<boolean>,
): Promise<void> {
  for (let times = 0; times < timesMost; times++) {
    await clock.advance(0);
    if (await isOver(clock.nextTimerAtMs() === undefined)) return;
    const nextMs = clock.nextTimerAtMs();
    if (nextMs === undefined) throw new TestError("The run has not ended, and nothing will happen to it any more.");
    await clock.advance(nextMs - clock.now());
  }
  const nowAt = new Date(clock.now()).toISOString();
  const message = `The run has not ended by ${nowAt}, after ${timesMost} moments at which something happened. Stop what repeats for ever, or let time pass with engine.advance first.`;
  throw new TestError(message);
}
