/**
 * True if two JSON values are equal: same members whatever their order, same elements in order.
 * A member that is `undefined` counts as absent, as in `JSON.stringify`. Iterative, so that deep
 * values cannot overflow the stack.
 */
export function jsonEqual(a: unknown, b: unknown): boolean {
  const pending: unknown[] = [a, b];
  while (pending.length > 0) {
    const right = pending.pop();
    const left = pending.pop();
    if (left === right) continue;
    if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) {
      return false;
    }
    if (Array.isArray(left) !== Array.isArray(right)) return false;
    if (Array.isArray(left) && Array.isArray(right)) {
      if (left.length !== right.length) return false;
      for (let i = 0; i < left.length; i++) pending.push(left[i], right[i]);
      continue;
    }
    const l = left as Record<string, unknown>;
    const r = right as Record<string, unknown>;
    const keys = Object.keys(l).filter((key) => l[key] !== undefined);
    if (keys.length !== Object.keys(r).filter((key) => r[key] !== undefined).length) return false;
    for (const key of keys) {
      if (!Object.hasOwn(r, key)) return false;
      pending.push(l[key], r[key]);
    }
  }
  return true;
}
