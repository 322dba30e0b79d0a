/**
 * What a session knows of one object, kept in a private slot of the object itself: invisible to
 * `console.log`, spread, `structuredClone` and equality, and as fast to reach as a property.
 *
 * @module
 */

import type { WireRow } from "../sql/wire.ts";
import type { Mapper } from "./mapper.ts";
import type { IdentityKey, RowShape } from "./row_shape.ts";

/**
 * Where an object stands.
 *
 * | state | means | comes next |
 * | --- | --- | --- |
 * | transient | no session knows it | `add` → pending |
 * | pending | to be inserted by the next flush | flush → persistent; `delete`, `expunge`, rollback → transient |
 * | persistent | a row of the database, tracked | `delete` → deleted; `expunge`, `close` → detached |
 * | deleted | to be deleted, or deleted in the open transaction | commit → detached; rollback or, before the flush, `add` → persistent |
 * | detached | was persistent; its session let go of it | `attach` → persistent |
 * | readOnly | was read by a query with `readOnly()`: no session knows it | |
 *
 * Every other move is an `InstanceStateError`. `merge` moves nothing: it copies. The moves themselves are
 * in `unit_of_work/states.ts`.
 */
export type InstanceStatus =
  | "transient"
  | "pending"
  | "persistent"
  | "deleted"
  | "detached"
  | "readOnly";

/** The owner of an object: a session. Compared by identity only. */
export interface InstanceOwner {
  /** For messages. */
  readonly closed: boolean;
  /** Its objects that the next flush deletes. */
  doomed?: ReadonlySet<object>;
  /** Its objects of which a relation was assigned that was not loaded. */
  assigned?: Set<object>;
}

/** The state of one object. What every flush looks at stands first, and so close together in memory. */
export class InstanceState {
  /** Its identity, once it has a row. */
  key: IdentityKey | undefined;
  /** The snapshot: the row as received or as last written. */
  row: WireRow | undefined;
  /** Which columns `row` holds, in which order. */
  shape: RowShape | undefined;
  /** The values of loaded relations when they were last in step with the database. */
  related: Map<string, unknown> | undefined;
  /** Which mapping it follows. */
  readonly mapper: Mapper;
  /** See `InstanceStatus`. */
  status: InstanceStatus;
  /** The session it belongs to. */
  owner: InstanceOwner | undefined;
  /** The collections of which only some members were loaded. */
  partial: Set<string> | undefined;
  /** The flush of its session that inserted it; undefined for one that was loaded. */
  insertedBy: number | undefined;
  /** The objects that the latest result with this one gave, itself among them. */
  peers: readonly object[] | undefined;

  /** Starts without row and relations. */
  constructor(mapper: Mapper, status: InstanceStatus, owner: InstanceOwner | undefined) {
    this.key = undefined;
    this.row = undefined;
    this.shape = undefined;
    this.related = undefined;
    this.mapper = mapper;
    this.status = status;
    this.owner = owner;
    this.partial = undefined;
    this.insertedBy = undefined;
    this.peers = undefined;
  }
}

/** The base of every entity: holds the slot. */
export class Managed {
  #state: InstanceState | undefined = undefined;

  /** The state of an object; undefined for transient ones and for everything that is no entity. */
  static stateOf(object: object): InstanceState | undefined {
    return #state in object ? object.#state : undefined;
  }

  /** Puts a state into the slot. */
  static setState(object: object, state: InstanceState | undefined): void {
    if (#state in object) object.#state = state;
  }

  /** True if the object is an entity of ours. */
  static is(object: unknown): object is Managed {
    return typeof object === "object" && object !== null && #state in object;
  }
}
