import { settleAll } from "../runtime/settle-all.ts";

/**
 * Does it for each item, for so many at a time. The results are in the order of the items.
 *
 * @throws {unknown} what failed first, when nothing is under way any more
 */
export async function inParallel<T, R>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  const queue = items.entries();
  let failure: { readonly error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    for (const [index, item] of queue) {
      try {
        results[index] = await work(item);
      } catch (error) {
        failure ??= { error };
      }
      if (failure !== undefined) return;
    }
  };
  await settleAll(Array.from({ length: Math.min(most, items.length) }, lane));
  if (failure !== undefined) throw failure.error;
  return results;
}
