/**
 * As `Promise.all`, but when some fail it still waits for the others: Lambda freezes what is under way when a handler has
 * returned, a stop must find nothing that goes on, and a caller who tries again must not meet what it left behind.
 *
 * @throws {unknown} what failed; of several, the first in their order
 */
export async function settleAll<const Work extends readonly unknown[]>(
  work: Work,
): Promise<{ -readonly [At in keyof Work]: Awaited<Work[At]> }> {
  await Promise.allSettled(work);
  // eslint-disable-next-line no-restricted-syntax -- all of them have ended
  return Promise.all(work);
}
