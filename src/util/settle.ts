/** Waiting for several things at once. @module */

/** Waits for all, so that nothing is under way any more when the first failure is thrown. */
export async function settle(work: readonly Promise<unknown>[]): Promise<void> {
  if (work.length === 1) return void await work[0];
  for (const result of await Promise.allSettled(work)) {
    if (result.status === "rejected") throw result.reason;
  }
}
