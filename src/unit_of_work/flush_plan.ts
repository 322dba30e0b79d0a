/**
 * The flush plan: what is to be written, in which order. Made synchronously, as a picture of the
 * objects at that moment; knows no connection.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { type InstanceState, Managed } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import { encodeValue as encode } from "../mapper/row_shape.ts";
import type { Table } from "../schema/table.ts";
import { firstVersion, nextVersion } from "../schema/version.ts";
import type { DialectName, WireRow, WireValue } from "../sql/wire.ts";
import { onceFor } from "../util/once_for.ts";
import { topologicalSort } from "../util/topological_sort.ts";
import { deleteOrder } from "./delete_order.ts";
import { classesOf } from "./flush_shapes.ts";
import {
  appended,
  type Delete,
  type Insert,
  link as linkColumn,
  none,
  type Update,
} from "./flush_steps.ts";
import { givenReferences } from "./given_keys.ts";
import { orderKeys } from "./key_order.ts";
import { stateOf } from "./journal.ts";
import { type Link, relationsOf } from "./links.ts";
import type { Membership, Memberships } from "./membership.ts";
import { noNames } from "./names.ts";
import { anyOrder, orderWrites, type WriteOrder } from "./write_order.ts";

/** What a flush carries out. */
export interface FlushPlan {
  /** Layers in order; the rows of a layer do not depend on each other. */
  readonly inserts: readonly (readonly Insert[])[];
  /** The updates, and what comes before what. */
  readonly order: WriteOrder;
  /** After the updates, usually: rows of one class each, in the order in which they go. */
  readonly deletes: readonly (readonly Delete[])[];
  /** Rows of tables between to be added, once the rows they refer to are there. */
  readonly joined: readonly Membership[];
  /** Rows of tables between to be removed. */
  readonly parted: readonly Membership[];
  /** What the relations of stored objects are once all that is written. */
  readonly relations: ReadonlyMap<object, Map<string, unknown>>;
  /** Those of new objects. */
  readonly newRelations: readonly Related[];
}

/** An object and its relations as they were seen. */
export interface Related {
  /** The object. */
  readonly object: object;
  /** Its relations that were loaded or assigned. */
  readonly related: Map<string, unknown>;
}

/** What a plan is made of. */
export interface FlushInput {
  /** How values are encoded. */
  readonly dialect: DialectName;
  /** All mappers, for the order of tables. */
  readonly mappers: readonly Mapper[];
  /** New objects. */
  readonly pending: readonly object[];
  /** Managed objects that differ from their rows. */
  readonly changed: readonly {
    readonly object: object;
    readonly state: InstanceState;
    readonly columns: readonly number[];
  }[];
  /** Objects to be deleted. */
  readonly deleted: readonly { readonly object: object; readonly state: InstanceState }[];
  /** Keys that follow objects. */
  readonly links: readonly Link[];
  /** Rows of tables between. */
  readonly memberships: Memberships;
  /** The relations of stored objects of which one changed. */
  readonly relations: ReadonlyMap<object, Map<string, unknown>>;
}

/**
 * Makes the plan.
 *
 * @throws {InputError} when a value cannot be stored, before anything was sent.
 */
export function planFlush(input: FlushInput): FlushPlan {
  const { dialect, links } = input;
  const open: number[] = [];
  const rows = input.pending.map((object) => planInsert(object, dialect, open));
  const inserts = new Map<object, Insert>();
  // Nobody asks for them unless something refers to something.
  if (links.length > 0) rows.forEach((insert) => inserts.set(insert.object, insert));
  const updates = new Map<object, Update>();
  for (const { object, state, columns } of input.changed) {
    updates.set(object, planUpdate(object, state, columns, dialect));
  }
  withoutClearing(links).forEach((link) => {
    const { child } = link;
    const insert = inserts.get(child);
    const target = insert ?? updates.get(child) ?? newUpdate(child, dialect);
    if (target === undefined) return;
    applyLink(target, link, inserts, updates);
    if (insert === undefined && touches(target as Update)) updates.set(child, target as Update);
  });
  const { roots, ringOf } = ringsOf(input.mappers);
  // With gaps, which are passed over: there can be many more classes than are concerned.
  const byRing: Insert[][] = [];
  rows.forEach((insert) => (byRing[ringOf.get(insert.mapper.root)!] ??= []).push(insert));
  const layers = byRing.flatMap((members) => layer(members, inserts, updates));
  rows.forEach((insert) => {
    if (insert.open) checkComplete(insert);
  });
  const deletes = planDeletes(input.deleted, ringOf, updates, dialect);
  const touched = [...updates.values()].filter(touches);
  if (touched.length > 0) {
    // A key that is cleared before its row goes changes nothing that anybody will see.
    const going = new Set(input.deleted.map(({ object }) => object));
    for (const update of touched) {
      if (!inserts.has(update.object) && !going.has(update.object)) refresh(update, dialect);
    }
  }
  return {
    inserts: layers,
    order: touched.length === 0 && deletes.length === 0 ? anyOrder : orderKeys(
      orderWrites(rows, touched, deletes.flat()),
      { inserts: rows, updates: touched, deletes: deletes.flat() },
      roots,
    ),
    deletes,
    joined: input.memberships.joined,
    parted: input.memberships.parted,
    relations: input.relations,
    newRelations: rows.flatMap(({ object, mapper }) => {
      const related = relationsOf(object, mapper);
      return related === undefined ? none : { object, related };
    }),
  };
}

/** The tables' order: which roots need each other, ring by ring, and the rings in order. */
interface Rings {
  readonly roots: readonly Mapper[];
  readonly ringOf: ReadonlyMap<Mapper, number>;
}

const ringsOf = onceFor((mappers: readonly Mapper[]): Rings => {
  const roots = mappers.filter((mapper) => mapper.root === mapper);
  const rootOf = new Map(mappers.map(({ table, root }) => [table as Table, root]));
  const order = topologicalSort(
    roots,
    ({ tables }) => tables.flatMap((t) => t.foreignKeys.map(({ target }) => rootOf.get(target)!)),
  );
  const ringOf = new Map(order.flatMap((ring, i) => ring.map((mapper) => [mapper, i] as const)));
  return { roots, ringOf };
});

/** A new parent says more than the old one's "no longer mine". */
function withoutClearing(links: readonly Link[]): readonly Link[] {
  if (links.every(({ parent }) => parent !== null)) return links;
  return Map.groupBy(links, ({ child }) => child).values().toArray().flatMap((list) => {
    const taken = (link: Link) =>
      list.some(({ column, parent }) => column === link.column && parent !== null);
    return list.filter((link) => link.parent !== null || !taken(link));
  });
}

/** Dependents first: ring by ring, and within a ring row by row. */
function planDeletes(
  deleted: FlushInput["deleted"],
  ringOf: ReadonlyMap<Mapper, number>,
  updates: Map<object, Update>,
  dialect: DialectName,
): Delete[][] {
  if (deleted.length === 0) return [];
  const byRing = [...Map.groupBy(deleted, ({ state }) => ringOf.get(state.mapper.root)!)]
    .sort(([a], [b]) => b - a);
  return byRing.flatMap(([, rows]) => {
    const { groups, cleared } = deleteOrder(rows);
    for (const [{ object, state }, columns] of cleared) {
      const update = planUpdate(object, state, [], dialect);
      for (const index of columns) write(update, index, null);
      updates.set(object, update);
    }
    return groups.map((group) =>
      group.map(({ object, state }): Delete => ({
        object,
        mapper: state.mapper,
        key: guardedKeyOf(state),
      }))
    );
  });
}

/** The primary key of a managed object as it is in the database. */
export function keyOf(state: InstanceState): WireRow {
  const { keyIndexes } = state.shape!;
  const row = state.row!;
  // Most keys have one column: an array of just that size.
  const key = [row[keyIndexes[0]!]!];
  for (let i = 1; i < keyIndexes.length; i++) key.push(row[keyIndexes[i]!]!);
  return key;
}

/** What a row to be changed is found by: its primary key, and its version if it has one. */
export function guardedKeyOf(state: InstanceState): WireRow {
  const key = keyOf(state);
  const { versionIndex } = state.mapper;
  if (versionIndex >= 0) key.push(state.row![versionIndex]!);
  return key;
}

/** `open` is only lent, for what a row leaves open. */
function planInsert(object: object, dialect: DialectName, open: number[]): Insert {
  const { mapper } = stateOf(object);
  if (mapper.kind !== undefined || mapper.classes.size > 0) checkKind(object, mapper);
  const shape = mapper.shape(dialect);
  open.length = 0;
  const row = shape.encode(object, open);
  let linked: readonly number[] = none;
  const { versionIndex } = mapper;
  if (versionIndex >= 0) {
    const at = open.indexOf(versionIndex);
    if (at >= 0) {
      const column = mapper.columns[versionIndex]!;
      row[versionIndex] = encode(firstVersion(column.type), column, shape.codecs[versionIndex]!);
      linked = [versionIndex];
      open.splice(at, 1);
    } else if (mapper.versionGenerated && row[versionIndex] !== undefined) refuseVersion(mapper);
  }
  return {
    object,
    mapper,
    row,
    open: open.length > 0,
    given: noNames,
    note: undefined,
    pendingKeys: none,
    linked,
  };
}

/** A row becomes an object of the class that its discriminator tells: it must be this one. */
function checkKind(object: object, { columns, discriminator, kind, name }: Mapper): void {
  const { property, label } = columns[discriminator]!;
  const found = (object as Record<string, unknown>)[property];
  if (found === kind && kind !== undefined) return;
  if (kind === undefined) {
    throw new InputError(`${name} has subclasses only: "${label}" says nothing of itself`, {
      hint: `Make an object of a subclass, or declare what it says: .discriminator("…")`,
    });
  }
  throw new InputError(`"${label}" of ${name} says another class than "${kind}"`, {
    hint: "Leave it to the class: a row becomes an object of another one by being stored anew",
  });
}

function planUpdate(
  object: object,
  state: InstanceState,
  changed: readonly number[],
  dialect: DialectName,
): Update {
  const { mapper } = state;
  const { codecs } = mapper.shape(dialect);
  const row = state.row!.slice();
  if (mapper.kind !== undefined && changed.includes(mapper.discriminator)) {
    checkKind(object, mapper);
  }
  for (const index of changed) {
    const column = mapper.columns[index]!;
    row[index] = encode(
      (object as Record<string, unknown>)[column.property],
      column,
      codecs[index]!,
    );
  }
  return {
    object,
    mapper,
    key: guardedKeyOf(state),
    changed: changed.slice(),
    row,
    pendingKeys: none,
    linked: none,
  };
}

/** An update that so far changes nothing; none for objects a flush does not write. */
function newUpdate(object: object, dialect: DialectName): Update | undefined {
  const state = Managed.stateOf(object);
  return state?.status === "persistent" ? planUpdate(object, state, [], dialect) : undefined;
}

function touches(update: Update): boolean {
  return update.changed.length > 0;
}

/** The version and columns with `onUpdate()` get a new value, and the object along with its row. */
function refresh(update: Update, dialect: DialectName): void {
  const { columns, codecs } = update.mapper.shape(dialect);
  const { versionIndex } = update.mapper;
  if (versionIndex >= 0) {
    const column = columns[versionIndex]!;
    if (update.changed.includes(versionIndex)) refuseVersion(update.mapper);
    if (!update.mapper.versionGenerated) {
      const codec = codecs[versionIndex]!;
      const next = nextVersion(codec.decode(update.row[versionIndex]!));
      write(update, versionIndex, encode(next, column, codec));
      linkColumn(update, versionIndex);
    }
  }
  for (let i = 0; i < columns.length; i++) {
    const { updateValue } = columns[i]!.defined.spec;
    if (updateValue === undefined || update.changed.includes(i)) continue;
    write(update, i, encode(updateValue(), columns[i]!, codecs[i]!));
    linkColumn(update, i);
  }
}

function refuseVersion({ columns, versionIndex, versionGenerated, name }: Mapper): never {
  throw new InputError(`"${columns[versionIndex]!.label}" of ${name} was set by the program`, {
    hint: `A version is written by the ${versionGenerated ? "database" : "flush"}; ` +
      "session.merge() compares one that came from outside",
  });
}

function applyLink(
  target: Insert | Update,
  link: Link,
  inserts: ReadonlyMap<object, Insert>,
  updates: ReadonlyMap<object, Update>,
): void {
  const index = target.mapper.columns.indexOf(link.column);
  if (index < 0) {
    throw new InputError(
      `${target.mapper.name} has no "${link.column.label}", by which it would belong to ` +
        `${link.parent?.constructor.name ?? "its parent"}`,
      { hint: "Only objects of the class that declares it can be in the relation" },
    );
  }
  linkColumn(target, index);
  // Both sides of a relation can say the same, and the last of several parents has it.
  if (isPending(target, index)) {
    target.pendingKeys = target.pendingKeys.filter((key) => key.index !== index);
  }
  if (link.parent === null) {
    if (!link.column.nullable) {
      throw new InputError(
        `${
          target.mapper.describe(target.object)
        } lost its parent, and "${link.column.label}" takes no null`,
        { hint: "Delete the object with session.delete(), or give it another parent" },
      );
    }
    write(target, index, null);
    return;
  }
  const insert = inserts.get(link.parent);
  const parentMapper = insert?.mapper ?? Managed.stateOf(link.parent)?.mapper;
  if (parentMapper === undefined) return;
  const parentIndex = parentMapper.columns.indexOf(link.parentColumn);
  const parent = insert ?? updates.get(link.parent) ?? Managed.stateOf(link.parent)!;
  const known = parent.row![parentIndex];
  if (known !== undefined && insert === undefined) {
    // The same key can stand for another parent by then, and the row have followed the old one.
    write(target, index, known, updates.get(link.parent)?.changed.includes(parentIndex));
    return;
  }
  // Even where the new parent's key is known, its row has to be there first.
  const key = { index, parent: link.parent, parentIndex };
  target.pendingKeys = appended(target.pendingKeys, key);
  write(target, index, known ?? null);
}

/** True if the column's value is that of a row that has to be inserted first. */
function isPending({ pendingKeys }: Insert | Update, index: number): boolean {
  for (const key of pendingKeys) if (key.index === index) return true;
  return false;
}

function write(target: Insert | Update, index: number, wire: WireValue, again = false): void {
  if ("changed" in target) {
    if (target.row[index] === wire && !again && !isPending(target, index)) return;
    if (!target.changed.includes(index)) {
      target.changed.push(index);
      target.changed.sort((a, b) => a - b);
    }
  }
  target.row[index] = wire;
}

/**
 * Cuts inserts into layers: a row comes after the rows its keys are taken from (Kahn 1962). A
 * ring is broken at a nullable key, which a later UPDATE fills in.
 */
function layer(
  members: readonly Insert[],
  inserts: ReadonlyMap<object, Insert>,
  updates: Map<object, Update>,
): (readonly Insert[])[] {
  const given = members.length > 1 ? givenReferences(members) : undefined;
  // Most often, nothing in it refers to anything else in it.
  if (given === undefined && !refersWithin(members, inserts)) return [members];
  const waiting = new Map<Insert, number>();
  const dependents = new Map<Insert, Insert[]>();
  const inside = new Set(members);
  for (const insert of members) {
    const needed = given?.get(insert) ?? [];
    for (const { parent } of insert.pendingKeys) {
      const other = inserts.get(parent)!;
      if (inside.has(other)) needed.push(other);
    }
    for (const other of needed) {
      const list = dependents.get(other);
      if (list === undefined) dependents.set(other, [insert]);
      else list.push(insert);
    }
    waiting.set(insert, needed.length);
  }
  const layers: (readonly Insert[])[] = [];
  let ready = members.filter((insert) => waiting.get(insert) === 0);
  while (waiting.size > 0) {
    if (ready.length === 0) ready = [breakRing([...waiting.keys()], inside, inserts, updates)];
    layers.push(ready);
    for (const insert of ready) {
      waiting.delete(insert);
      inside.delete(insert);
    }
    const next: Insert[] = [];
    for (const insert of ready) {
      for (const dependent of dependents.get(insert) ?? []) {
        if (!waiting.has(dependent)) continue;
        const left = waiting.get(dependent)! - 1;
        waiting.set(dependent, left);
        if (left === 0) next.push(dependent);
      }
    }
    ready = next;
  }
  return layers;
}

/** True if a row takes a key from one of these classes. */
function refersWithin(
  members: readonly Insert[],
  inserts: ReadonlyMap<object, Insert>,
): boolean {
  let classes: Set<Mapper | undefined> | undefined;
  for (const { pendingKeys } of members) {
    for (const { parent } of pendingKeys) {
      classes ??= new Set(classesOf(members).map(({ root }) => root));
      if (classes.has(inserts.get(parent)?.mapper.root)) return true;
    }
  }
  return false;
}

/** Takes a row whose open keys are all nullable out of a ring, and leaves those keys to an UPDATE. */
function breakRing(
  ring: readonly Insert[],
  inside: ReadonlySet<Insert>,
  inserts: ReadonlyMap<object, Insert>,
  updates: Map<object, Update>,
): Insert {
  const open = (insert: Insert) =>
    insert.pendingKeys.filter(({ parent }) => inside.has(inserts.get(parent)!));
  const insert = ring.find((candidate) =>
    open(candidate).every(({ index }) => candidate.mapper.columns[index]!.nullable)
  );
  if (insert === undefined) {
    const names = [...new Set(ring.map(({ mapper }) => mapper.name))].join(", ");
    throw new InputError(`New objects of ${names} need each other's keys, and none takes null`, {
      hint: "Declare one of the foreign keys nullable(), so that it can be set by a second step",
    });
  }
  const later = open(insert);
  insert.pendingKeys = insert.pendingKeys.filter((key) => !later.includes(key));
  for (const { index } of later) insert.row[index] = null;
  updates.set(insert.object, {
    object: insert.object,
    mapper: insert.mapper,
    // Filled in when the row has been inserted and its key is known.
    key: [],
    changed: later.map(({ index }) => index).sort((a, b) => a - b),
    row: [],
    pendingKeys: later,
    linked: later.map(({ index }) => index),
  });
  return insert;
}

/** A key that no relation fills must not be null by accident. */
function checkComplete(insert: Insert): void {
  const { mapper, row } = insert;
  for (let index = 0; index < row.length; index++) {
    const column = mapper.columns[index]!;
    if (row[index] !== null || column.nullable) continue;
    if (isPending(insert, index)) continue;
    throw new InputError(`"${column.label}" has no value`, {
      hint: column.defined.spec.references === undefined
        ? `Set it before the ${mapper.name} is flushed`
        : `Set it, or the relation it belongs to, before the ${mapper.name} is flushed`,
    });
  }
}
