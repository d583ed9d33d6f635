/**
 * Waits for all of them, also when some fail: Lambda freezes what is still under way when a handler has returned, and
 * a caller who tries again must not meet what it left behind.
 *
 * @throws {unknown} what failed; an `AggregateError` when several did
 */
export async function settleAll(work: readonly Promise<unknown>[]): Promise<void> {
  const failures = (await Promise.allSettled(work)).filter((result) => result.status === "rejected");
  const [first] = failures;
  if (first === undefined) return;
  if (failures.length === 1) throw first.reason;
  throw new AggregateError(
    failures.map(({ reason }) => reason as unknown),
    `${failures.length} of ${work.length} requests failed; the first with ${String(first.reason)}`,
  );
}
