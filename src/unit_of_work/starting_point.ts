/**
 * How a session's objects stood when a transaction began, kept so that its function can run again
 * from there. A rollback alone goes back further: to what is stored.
 *
 * @module
 */

import { Managed } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { ColumnCodec } from "../schema/types.ts";
import type { DialectName, WireValue } from "../sql/wire.ts";
import type { UnitOfWork } from "./unit_of_work.ts";

/** A value that can be changed in place is kept as it would be stored, too. */
interface KeptColumn {
  readonly property: string;
  readonly value: unknown;
  readonly codec: ColumnCodec<unknown>;
  readonly wire: WireValue | undefined;
}

interface KeptRelation {
  readonly property: string;
  /** The relation, array or object; absent if it was not loaded. */
  readonly value:
    | { readonly now: unknown; readonly members: readonly unknown[] | undefined }
    | undefined;
}

interface KeptObject {
  readonly object: object;
  readonly columns: readonly KeptColumn[];
  readonly relations: readonly KeptRelation[];
}

/** The objects of a session at one moment: which there are, and what was not stored of them. */
export class StartingPoint {
  readonly #work: UnitOfWork;
  readonly #managed: ReadonlySet<object>;
  readonly #pending: readonly object[];
  readonly #deleted: readonly object[];
  readonly #unstored: readonly KeptObject[];

  /** Keeps the state of now. */
  constructor(work: UnitOfWork, mapperOf: (object: object) => Mapper, dialect: DialectName) {
    this.#work = work;
    this.#managed = managedBy(work);
    this.#pending = work.pending;
    this.#deleted = work.deleted;
    this.#unstored = [...work.pending, ...work.dirty].map((object) =>
      keep(object, mapperOf(object), dialect)
    );
  }

  /** Goes back to it, from where a rollback has gone. */
  restore(): void {
    // What an attempt has loaded may be outdated; the next one loads it anew.
    for (const object of managedBy(this.#work)) {
      if (!this.#managed.has(object)) this.#work.expunge(object);
    }
    for (const kept of this.#unstored) putBack(kept);
    for (const object of this.#pending) {
      if (Managed.stateOf(object) === undefined) this.#work.add(object);
    }
    for (const object of this.#deleted) this.#work.delete(object);
  }
}

function managedBy(work: UnitOfWork): Set<object> {
  const managed = new Set<object>();
  work.identityMap.forEach((object) => managed.add(object));
  return managed;
}

function keep(object: object, mapper: Mapper, dialect: DialectName): KeptObject {
  const { columns, codecs } = Managed.stateOf(object)?.shape ?? mapper.shape(dialect);
  const values = object as Record<string, unknown>;
  return {
    object,
    columns: columns.flatMap(({ property, label, group }, i) => {
      if (!Object.hasOwn(object, group?.property ?? property)) return [];
      const value = values[property];
      const codec = codecs[i]!;
      return [{ property, value, codec, wire: wireOf(value, codec, label) }];
    }),
    relations: [...mapper.relations.values()].map(({ property }) => {
      if (!Object.hasOwn(object, property)) return { property, value: undefined };
      const now = values[property];
      const members = Array.isArray(now) ? [...now] : undefined;
      return { property, value: { now, members } };
    }),
  };
}

function wireOf(
  value: unknown,
  codec: ColumnCodec<unknown>,
  label: string,
): WireValue | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  try {
    const wire = codec.encode(value, label);
    return wire instanceof Uint8Array ? wire.slice() : wire;
  } catch {
    // What cannot be stored is refused by the flush, in better words.
    return undefined;
  }
}

function putBack({ object, columns, relations }: KeptObject): void {
  const values = object as Record<string, unknown>;
  for (const { property, value, codec, wire } of columns) {
    const changed = wire !== undefined && !unchanged(value, wire, codec);
    values[property] = changed ? codec.decode(wire!) : value;
  }
  for (const { property, value } of relations) {
    if (value === undefined) {
      if (Object.hasOwn(object, property)) delete values[property];
      continue;
    }
    const { now, members } = value;
    // The same array as then: programs may hold on to it.
    if (members !== undefined) (now as unknown[]).splice(0, Infinity, ...members);
    // An assignment, which tells the flush to look at it.
    values[property] = now;
  }
}

function unchanged(value: unknown, wire: WireValue, codec: ColumnCodec<unknown>): boolean {
  return codec.same !== undefined && codec.same(value, wire!);
}
