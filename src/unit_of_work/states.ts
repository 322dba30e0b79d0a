/**
 * Where an object stands, and every move from there: one table, and one function that goes by it.
 *
 * @module
 */

import { InstanceStateError } from "../errors.ts";
import {
  type InstanceOwner,
  InstanceState,
  type InstanceStatus,
  Managed,
} from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";

/**
 * The states of `inspect()`, two of them in two phases: a pending object is `storing` while a flush
 * that has seen it is under way, and one that is to be deleted is `doomed` until the flush has done so.
 */
export type Standing = InstanceStatus | "storing" | "doomed";

/** What programs ask for, by the words of the session. */
export type Request = "add" | "delete" | "attach" | "expire" | "refresh" | "expunge";

/** What a session does by itself. */
export type Step = "insert" | "remove" | "commit" | "rollback" | "uninsert" | "close";

/**
 * What becomes of an object, from where it stands; what is not here is refused. `uninsert` is the
 * rollback of what was inserted in the transaction, `rollback` that of everything else.
 */
export const MOVES: Readonly<
  Record<Request | Step, Readonly<Partial<Record<Standing, Standing>>>>
> = {
  add: {
    transient: "pending",
    pending: "pending",
    storing: "storing",
    persistent: "persistent",
    doomed: "persistent",
  },
  delete: {
    pending: "transient",
    storing: "doomed",
    persistent: "doomed",
    doomed: "doomed",
  },
  attach: {
    pending: "pending",
    storing: "storing",
    persistent: "persistent",
    doomed: "doomed",
    detached: "persistent",
  },
  expire: { persistent: "persistent", doomed: "doomed" },
  refresh: { persistent: "persistent", doomed: "doomed" },
  expunge: {
    transient: "transient",
    pending: "transient",
    persistent: "detached",
    doomed: "detached",
    deleted: "detached",
    detached: "detached",
  },

  insert: { storing: "persistent" },
  // A foreign key's `onDelete` and a statement by query can do it to any; one that was let go of stays so.
  remove: { persistent: "deleted", doomed: "deleted", detached: "detached" },
  commit: { deleted: "detached" },
  rollback: {
    pending: "transient",
    persistent: "persistent",
    doomed: "persistent",
    deleted: "persistent",
  },
  uninsert: {
    pending: "transient",
    storing: "transient",
    persistent: "transient",
    doomed: "transient",
    deleted: "transient",
    detached: "transient",
  },
  close: {
    pending: "transient",
    storing: "transient",
    persistent: "detached",
    doomed: "detached",
    deleted: "detached",
  },
};

const PAST: Readonly<Record<Request, string>> = {
  add: "added",
  delete: "deleted by this session",
  attach: "attached",
  expire: "expired",
  refresh: "refreshed",
  expunge: "expunged",
};

const HINTS: Readonly<Record<Request, string>> = {
  add: "Load it in this session, or make a new object",
  delete: "Load it in this session first",
  attach: "add() takes new objects, merge() those that stand for a row",
  expire: "Load it in this session, or attach() it",
  refresh: "Load it in this session, or attach() it",
  expunge: "Await the flush that stores it",
};

/**
 * Where a request leads.
 *
 * @throws {InstanceStateError} when it leads nowhere, or the object is another session's.
 */
export function nextOf(
  object: object,
  mapper: Mapper,
  request: Request,
  from: Standing,
  owner: InstanceOwner,
): Standing {
  const its = Managed.stateOf(object)?.owner;
  const elsewhere = its !== undefined && its !== owner;
  const next = elsewhere ? undefined : MOVES[request][from];
  if (next !== undefined) return next;
  const found = from === "storing" ? "being stored" : from === "doomed" ? "to be deleted" : from;
  throw new InstanceStateError(
    `${mapper.describe(object)} is ${found}${
      elsewhere ? " in another session" : ""
    } and cannot be ` +
      PAST[request],
    { hint: HINTS[request] },
  );
}

/** Moves an object; `from` is where it stands. Every change of a status is made here. */
export function move(
  object: object,
  mapper: Mapper,
  action: Request | Step,
  from: Standing,
  owner: InstanceOwner,
): Standing {
  const to = MOVES[action][from];
  if (to === undefined) throw new Error(`BUG: ${action} of an object that is ${from}`);
  if (to === "transient") Managed.setState(object, undefined);
  else if (to === "pending") {
    if (from !== to) Managed.setState(object, new InstanceState(mapper, to, owner));
  } else if (to !== "storing") {
    const state = Managed.stateOf(object)!;
    // What is doomed is as it was until the flush.
    if (to !== "doomed") state.status = to;
    state.owner = to === "detached" ? undefined : owner;
    if (to === "detached") {
      state.peers = undefined;
      state.insertedBy = undefined;
    }
  }
  return to;
}

/** Moves an object whose row was written by a flush, or is gone by whatever means. */
export function advance(object: object, state: InstanceState, step: "insert" | "remove"): void {
  move(object, state.mapper, step, step === "insert" ? "storing" : state.status, state.owner!);
}
