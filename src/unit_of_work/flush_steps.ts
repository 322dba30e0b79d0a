/** The steps of a flush plan: one for each row that is written. @module */

import type { Mapper } from "../mapper/mapper.ts";
import type { WireRow, WireValue } from "../sql/wire.ts";
import type { Names } from "./names.ts";

/** A key of a new row that is known only when its parent has been inserted. */
export interface PendingKey {
  /** Index of the column. */
  readonly index: number;
  /** The object to take it from. */
  readonly parent: object;
  /** Index of the parent's column. */
  readonly parentIndex: number;
}

/** A new row. */
export interface Insert {
  /** The object. */
  readonly object: object;
  /** Its mapper. */
  readonly mapper: Mapper;
  /** Wire values by the mapper's columns; undefined where the database gives the value. */
  readonly row: (WireValue | undefined)[];
  /** Columns that nothing gave a value so far are null in the row. */
  readonly open: boolean;
  /** The properties that the flush gave the object, as long as the journal has no note of it. */
  given: Names;
  /** The journal's note. */
  note: { given: Names } | undefined;
  /** Keys to fill in before it is sent. */
  pendingKeys: readonly PendingKey[];
  /** Indexes of the keys that follow a relation: the object gets them when they are written. */
  linked: readonly number[];
}

/** A changed row. */
export interface Update {
  /** The object. */
  readonly object: object;
  /** Its mapper. */
  readonly mapper: Mapper;
  /** The primary key, and the version if there is one, as they are in the database. */
  readonly key: WireRow;
  /** Indexes of the columns that are written, ascending. */
  readonly changed: number[];
  /** Wire values by the mapper's columns: what the snapshot becomes. */
  readonly row: WireRow;
  /** Keys to fill in before it is sent. */
  pendingKeys: readonly PendingKey[];
  /** Indexes of the keys that follow a relation: the object gets them when they are written. */
  linked: readonly number[];
}

/** A row to be deleted. */
export interface Delete {
  /** The object. */
  readonly object: object;
  /** Its mapper. */
  readonly mapper: Mapper;
  /** The primary key, and the version if there is one. */
  readonly key: WireRow;
}

/** Most rows have none, and share this: lists grow by being replaced. */
export const none: readonly never[] = [];

/** Notes that the object gets a column when its row is written. */
export function link(step: Insert | Update, index: number): void {
  if (!step.linked.includes(index)) step.linked = appended(step.linked, index);
}

/** A list with one more. Of most there is one, in an array of just its size. */
export function appended<T>(list: readonly T[], item: T): readonly T[] {
  return list.length === 0 ? [item] : [...list, item];
}
