/** The hooks of an entity: the option `hooks` of `entity()`. @module */

/** What became of an object in a transaction. */
export type CommittedChange = "insert" | "update" | "delete";

/**
 * Functions that are called when objects are stored. Those that begin with `before` are called
 * once for each object of a flush, before anything of it is sent. They may change the object and
 * others, add and delete: that is part of the same flush. What they throw stops it, with nothing
 * sent. A flush takes its picture in one go, so they cannot wait for anything.
 *
 * Bulk writes and statements call no hooks.
 */
export interface EntityHooks<E> {
  /** Before a new object is inserted. */
  readonly beforeInsert?: ((object: E) => void) | undefined;
  /** Before the row of a changed object is updated. */
  readonly beforeUpdate?: ((object: E) => void) | undefined;
  /** Before an object is deleted. */
  readonly beforeDelete?: ((object: E) => void) | undefined;
  /**
   * After the transaction that stored the object's change was committed. Waited for; what it
   * throws is printed with `console.error` and changes nothing, since the change is stored.
   */
  readonly afterCommit?: ((object: E, change: CommittedChange) => unknown) | undefined;
}

/** The name of a hook. */
export type HookName = keyof EntityHooks<object>;

/** All of them. */
export const HOOK_NAMES: readonly HookName[] = [
  "beforeInsert",
  "beforeUpdate",
  "beforeDelete",
  "afterCommit",
];
