/**
 * How many times longer the work takes for eight times the size: about 8 when its time grows with the size, 64 when with
 * the square of it. A ratio of the best of several tries tells the same on a slow machine and on a busy one.
 */
export async function growth(work: (size: number) => unknown, size: number): Promise<number> {
  const small = await best(() => work(size));
  const large = await best(() => work(8 * size));
  // What is done within a blink may take any multiple of it.
  return large < blinkMs ? 1 : large / Math.max(small, 1);
}

const blinkMs = 20;

async function best(work: () => unknown): Promise<number> {
  let leastMs = Infinity;
  for (let time = 0; time < 3; time++) {
    const beganMs = performance.now();
    await work();
    leastMs = Math.min(leastMs, performance.now() - beganMs);
  }
  return leastMs;
}
