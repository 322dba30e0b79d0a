/** One listener per signal, however many wait for it. Used by everything that can be given up. */

interface Group {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

const groups = new WeakMap<AbortSignal, Group>();

/**
 * Calls `callback` once when `signal` is aborted. Gives a function that forgets the callback.
 *
 * An `AbortSignal` keeps its listeners in an array: ten thousand waiters on one shutdown signal cost
 * it half a second to add and remove. Here each signal has one listener and a set, so both cost the
 * same however many there are. A long-lived signal keeps nothing of ours once nobody waits.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const group = groups.get(signal) ?? startListening(signal);
  // Wrapped, because one function may be given twice and must then be called twice.
  const entry = () => callback();
  group.callbacks.add(entry);
  return () => {
    if (group.callbacks.delete(entry) && group.callbacks.size === 0) {
      groups.delete(signal);
      signal.removeEventListener("abort", group.listener);
    }
  };
}

function startListening(signal: AbortSignal): Group {
  const callbacks = new Set<() => void>();
  const listener = () => {
    groups.delete(signal);
    for (const callback of callbacks) callback();
  };
  signal.addEventListener("abort", listener, { once: true });
  const group = { callbacks, listener };
  groups.set(signal, group);
  return group;
}
