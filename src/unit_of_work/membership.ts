/**
 * Memberships: the rows of the tables between, of `manyToMany`. Added and removed as array-bound
 * statements, one for each relation.
 *
 * @module
 */

import type { DeleteShape, InsertShape } from "../dialect/dialect.ts";
import { InputError } from "../errors.ts";
import type { Column } from "../schema/table.ts";
import { isGiven } from "../mapper/definition.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import type { Association, MappedRelation } from "../mapper/mapper.ts";
import { firstVersion } from "../schema/version.ts";
import type { DialectName, WireRow, WireValue } from "../sql/wire.ts";
import { compareKeys } from "./flush_shapes.ts";
import type { FlushTarget } from "./flush_target.ts";
import { stateOf } from "./journal.ts";
import type { RelationChange } from "./links.ts";

/** That one object is in the relation of another. */
export interface Membership {
  /** Which relation. */
  readonly relation: MappedRelation;
  /** Whose relation. */
  readonly owner: object;
  /** The object in it. */
  readonly member: object;
}

/** What changed in the tables between; what both sides say is said once. */
export class Memberships {
  /** To be added. */
  readonly joined: Membership[] = [];
  /** To be removed. */
  readonly parted: Membership[] = [];
  readonly #seen = new Map<unknown, Map<object, Set<object>>>();

  /** How many there are. */
  get size(): number {
    return this.joined.length + this.parted.length;
  }

  /** All of them. */
  all(): Membership[] {
    return [...this.joined, ...this.parted];
  }

  /** Takes a change of a `manyToMany` relation. Nothing is linked with an object that goes. */
  note({ relation, owner, added, removed }: RelationChange, doomed: ReadonlySet<object>): void {
    for (const member of added) {
      if (!doomed.has(member)) this.#push(this.joined, { relation, owner, member });
    }
    for (const member of removed) this.#push(this.parted, { relation, owner, member });
  }

  #push(list: Membership[], membership: Membership): void {
    const { relation, owner, member } = membership;
    // Seen from the side whose columns come first.
    const { table } = relation.through!;
    const [left, right] = isForward(relation) ? [owner, member] : [member, owner];
    let lefts = this.#seen.get(table);
    if (lefts === undefined) this.#seen.set(table, lefts = new Map());
    let rights = lefts.get(left);
    if (rights === undefined) lefts.set(left, rights = new Set());
    if (rights.has(right)) return;
    rights.add(right);
    list.push(membership);
  }
}

/** Removes rows; one that is gone already is no matter. */
export function partMembers(parted: readonly Membership[], target: FlushTarget): Promise<void>[] {
  return groupMembers(parted).map(async (group) => {
    const shape = partShape(group[0]!.relation);
    const keys = group.map(keysOf).sort(compareKeys);
    const statements = target.dialect.deleteRows(shape, keys);
    await Promise.all(statements.map((s) => target.connection.run(s, target.call)));
  });
}

/** Adds rows; one that is there already is no matter. */
export function joinMembers(joined: readonly Membership[], target: FlushTarget): Promise<void>[] {
  return groupMembers(joined).map(async (group) => {
    const { shape, extras } = joinShape(group[0]!.relation, target.dialect.name);
    const rows = group.map((membership) => [
      ...keysOf(membership),
      ...extras.map(({ value }) => value()),
    ]);
    const statements = target.dialect.insertRows(shape, rows);
    await Promise.all(statements.map((s) => target.connection.run(s, target.call)));
  });
}

/** How rows of the table between are deleted. */
export function partShape({ through }: MappedRelation): DeleteShape {
  return { table: through!.table, keys: [...through!.from, ...through!.to] };
}

/** How rows of the table between are inserted, and what they hold beside the keys. */
export function joinShape(
  relation: MappedRelation,
  dialect: DialectName,
): { readonly shape: InsertShape; readonly extras: readonly ExtraColumn[] } {
  const through = relation.through!;
  const extras = extraColumns(through, relation, dialect);
  const shape: InsertShape = {
    table: through.table,
    columns: [...through.from, ...through.to, ...extras.map(({ column }) => column)],
    returning: [],
    onConflict: { target: [], update: [] },
  };
  return { shape, extras };
}

/** Rows of the same table between, from whichever side they were said. */
export function groupMembers(memberships: readonly Membership[]): Membership[][] {
  if (memberships.length === 0) return [];
  const turned = memberships.map((membership) => {
    const { relation, owner, member } = membership;
    if (relation.inverse === undefined || isForward(relation)) return membership;
    return { relation: relation.inverse, owner: member, member: owner };
  });
  return [...Map.groupBy(turned, ({ relation }) => relation).values()];
}

/** This side's columns come first. */
function isForward({ through }: MappedRelation): boolean {
  const { table, from, to } = through!;
  return table.columns.indexOf(from[0]!) < table.columns.indexOf(to[0]!);
}

function keysOf({ relation, owner, member }: Membership): WireRow {
  return [
    ...wires(owner, relation.localColumns),
    ...wires(member, relation.targetColumns),
  ];
}

function wires(object: object, columns: readonly MappedColumn[]): WireRow {
  const { mapper, row } = stateOf(object);
  return columns.map((column) => row![mapper.columns.indexOf(column)]!);
}

/** A column of the table between that is no key. */
export interface ExtraColumn {
  /** The column. */
  readonly column: Column;
  /** Makes its value. */
  readonly value: () => WireValue;
}

/** Columns of an association entity that JavaScript gives a default. */
function extraColumns(
  { mapper, from, to }: Association,
  relation: MappedRelation,
  dialect: DialectName,
): ExtraColumn[] {
  const extras: ExtraColumn[] = [];
  for (const column of mapper?.columns ?? []) {
    if (from.includes(column) || to.includes(column)) continue;
    const { defaultValue, version } = column.defined.spec;
    if (version === "flush" && column.defaultSql === undefined) {
      const codec = column.type.codec[dialect];
      extras.push({
        column,
        value: () => codec.encode(firstVersion(column.type), column.label),
      });
    } else if (defaultValue !== undefined) {
      const { value } = defaultValue;
      const codec = column.type.codec[dialect];
      extras.push({
        column,
        value: () => {
          const given: unknown = typeof value === "function" ? value() : value;
          return given === null ? null : codec.encode(given, column.label);
        },
      });
    } else if (!column.nullable && !isGiven(column.defined.spec)) {
      throw new InputError(
        `A link cannot be added to "${relation.property}": "${column.label}" has no value`,
        { hint: `Add a new ${mapper!.name}({ … }) instead, or give the column a default` },
      );
    }
  }
  return extras;
}
