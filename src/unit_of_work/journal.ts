/**
 * The journal: what a rollback has to put back. Every transaction and every savepoint has one; an
 * object is noted before a flush first touches it there.
 *
 * @module
 */

import { type InstanceState, type InstanceStatus, Managed } from "../mapper/instance_state.ts";
import type { IdentityKey, RowShape } from "../mapper/row_shape.ts";
import type { WireRow } from "../sql/wire.ts";
import type { Insert } from "./flush_steps.ts";
import type { Committed } from "./hooks.ts";
import { type Names, noNames } from "./names.ts";

/** How an object was. */
export interface Note {
  /** Its status then. */
  readonly status: InstanceStatus;
  /** Its snapshot then. */
  readonly row: WireRow | undefined;
  /** Which columns that holds. */
  readonly shape: RowShape | undefined;
  /** Its identity then. */
  readonly key: IdentityKey | undefined;
  /** Its relations then. */
  readonly related: ReadonlyMap<string, unknown> | undefined;
  /** Its collections that were loaded in part, then. */
  readonly partial: ReadonlySet<string> | undefined;
  /** For new objects: the properties that the flush gave it. */
  given: Names;
  /** Its row was updated since. */
  updated: boolean;
}

/** The notes of one transaction or savepoint. */
export class Journal {
  readonly #noted = new Map<object, Note>();
  /** New rows, of which all that is to be noted is what they are. */
  #inserts: (readonly Insert[])[] = [];

  /** Notes new objects. Each gets a note of its own when one is asked for: most often, never. */
  noteInserts(layers: readonly (readonly Insert[])[]): void {
    this.#inserts.push(...layers);
  }

  get #notes(): Map<object, Note> {
    if (this.#inserts.length > 0) {
      for (const insert of this.#inserts.splice(0).flat()) {
        const note = this.#noted.get(insert.object) ?? newNote(insert.given);
        this.#noted.set(insert.object, note);
        insert.note = note;
      }
    }
    return this.#noted;
  }

  /** Notes an object, unless it was noted before, and gives its note. */
  note(object: object, state: InstanceState): Note {
    let note = this.#notes.get(object);
    if (note === undefined) {
      note = {
        status: state.status,
        row: state.row,
        shape: state.shape,
        key: state.key,
        related: state.related && new Map(state.related),
        partial: state.partial && new Set(state.partial),
        given: noNames,
        updated: false,
      };
      this.#notes.set(object, note);
    }
    return note;
  }

  /** True if an object is noted. */
  has(object: object): boolean {
    return this.#notes.has(object);
  }

  /** Looks at all objects but those of which nothing was noted except that they were inserted. */
  forEachTouched(visit: (object: object) => void): void {
    this.#noted.forEach((_, object) => visit(object));
  }

  /** All notes, latest first. */
  entries(): (readonly [object, Note])[] {
    return [...this.#notes].reverse();
  }

  /** What it did to the objects it notes, in the order in which they were noted. */
  *changes(): Generator<Committed> {
    for (const [object, note] of this.#notes) {
      const state = Managed.stateOf(object);
      if (state === undefined) continue;
      const { mapper, status } = state;
      if (note.status === "pending") {
        if (status === "persistent") yield { object, mapper, change: "insert" };
      } else if (status === "deleted") yield { object, mapper, change: "delete" };
      else if (note.updated) yield { object, mapper, change: "update" };
    }
  }

  /** Takes over the notes of an inner savepoint that was released. */
  absorb(inner: Journal): void {
    for (const [object, note] of inner.#notes) {
      const own = this.#notes.get(object);
      if (own === undefined) this.#notes.set(object, note);
      else {
        for (const name of note.given.list) own.given = own.given.with(name);
        own.updated ||= note.updated;
      }
    }
  }
}

function newNote(given: Names): Note {
  return {
    status: "pending",
    row: undefined,
    shape: undefined,
    key: undefined,
    related: undefined,
    partial: undefined,
    given,
    updated: false,
  };
}

/** The state of a managed object. */
export function stateOf(object: object): InstanceState {
  const state = Managed.stateOf(object);
  if (state === undefined) throw new Error("BUG: a managed object has no state");
  return state;
}
