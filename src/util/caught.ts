const ignore = () => {};

/**
 * Marks a promise as handled, and gives it back. Whoever awaits it still gets its failure; but one
 * that is never awaited, or awaited only after another one failed, cannot end the process.
 */
export function caught<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}
