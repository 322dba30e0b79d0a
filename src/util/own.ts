/**
 * Options as they were given, and nothing else: where somebody has written to `Object.prototype`, an
 * option that was left out would be read from there.
 */

/** The own options of `given` by these names, and undefined for the others. */
export function ownOptions<T extends object>(given: T, names: readonly string[]): T {
  const own: Record<string, unknown> = {};
  for (const name of names) {
    own[name] = Object.hasOwn(given, name) ? given[name as keyof T] : undefined;
  }
  return own as T;
}

/** All own options of `given`, whatever their names are. */
export function withoutPrototype<T extends object>(given: T): T {
  return { __proto__: null, ...given };
}
