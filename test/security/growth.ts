/**
 * How many times longer the work takes for eight times the size: about 8 when its time grows with the size, 64 when with
 * the square of it. A ratio of the best of several tries tells the same on a slow machine and on a busy one. Choose a size
 * of some thousands, so that eight times as many, squared, are seconds.
 */
export async function growth(work: (size: number) => unknown, size: number): Promise<number> {
  const large = await best(() => work(8 * size));
  // What is done within a moment may take any multiple of a shorter one.
  return large < momentMs ? 1 : large / (await best(() => work(size)));
}

/** Between linear and quadratic. */
export const tooSteep = 24;

const momentMs = 250;

async function best(work: () => unknown): Promise<number> {
  let leastMs = Infinity;
  for (let time = 0; time < 3; time++) {
    const beganMs = performance.now();
    await work();
    leastMs = Math.min(leastMs, performance.now() - beganMs);
  }
  return leastMs;
}
