/**
 * What an entity declares, in the form the rest of the mapper reads.
 *
 * @module
 */

import type { ColumnSpec } from "../schema/column.ts";
import { allOf, Expression } from "../sql/expression.ts";
import { type Node, nodeOf, type TableSource } from "../sql/node.ts";
import type { WireRow } from "../sql/wire.ts";
import type { AnyEntityOptions } from "./entity_options.ts";
import type { RelationSpec } from "./relation.ts";

/** A column as declared, under its two names. */
export interface DefinedColumn {
  /** The property. */
  readonly property: string;
  /** The column in the database. */
  readonly name: string;
  /** What was declared. */
  readonly spec: ColumnSpec;
  /** `authors.name`, for messages. */
  readonly label: string;
  /** The group it belongs to, and its name there; the property is then `group.field`. */
  readonly group?: { readonly property: string; readonly field: string };
  /** The table that holds it, where it is that of a joined subclass. */
  readonly part?: Part | undefined;
}

/** The table of a joined subclass: it holds what the class declares, under the key of the base's row. */
export interface Part {
  /** Its schema, if qualified. */
  readonly schema: string | undefined;
  /** Its name. */
  readonly name: string;
  /** The columns of its key, each with the base's column that it equals. */
  readonly key: readonly { readonly name: string; readonly of: DefinedColumn }[];
}

/** A group of columns as declared. */
export interface DefinedGroup {
  /** The property that holds the object. */
  readonly property: string;
  /** The object can be null. */
  readonly nullable: boolean;
  /** Its columns. */
  readonly columns: readonly DefinedColumn[];
}

/** A computed column as declared. */
export interface DefinedComputed {
  /** The property. */
  readonly property: string;
  /** The expression, given the entity's columns and relations. */
  readonly of: (refs: never) => unknown;
}

/** A relation as declared. */
export interface DefinedRelation {
  /** The property. */
  readonly property: string;
  /** What was declared. */
  readonly spec: RelationSpec;
}

/** The declarations of one entity. */
export interface Definition {
  /** Its table; also the source that `Entity.c` and every query's root refer to. */
  readonly source: TableSource;
  /** `authors`, or `library.authors` with a schema. */
  readonly tableName: string;
  /** The columns, in order of declaration. */
  readonly columns: readonly DefinedColumn[];
  /** The groups that some of them form. */
  readonly groups: readonly DefinedGroup[];
  /** The relations, in order of declaration. */
  readonly relations: readonly DefinedRelation[];
  /** The columns that queries compute. */
  readonly computed: readonly DefinedComputed[];
  /** What stands in for these when they were not loaded; shared with subclasses. */
  readonly guarded: { readonly relations: Set<PropertyKey>; readonly deferred: Set<PropertyKey> };
  /** Of a subclass: what it extends, and what the discriminator says of it. */
  readonly parent?: {
    readonly definition: Definition;
    readonly value: string;
    /** What it says of the class and of those that extend it; it grows with them. */
    readonly values: Set<string>;
  };
  /** The table that holds what the class declares, where it is not the source itself. */
  readonly part?: Part | undefined;
  /** What concerns the entity as a whole. */
  readonly options: AnyEntityOptions;
}

/** True if rows that leave the column out get a value from the database. */
export function isGiven({ generated, defaultSql, version }: ColumnSpec): boolean {
  return generated || defaultSql !== undefined || version === "database";
}

/** The key of a class's definition. */
export const definitionOf: unique symbol = Symbol("sluice.definition");

/** Puts a column's expression where its property is: in the object of its group, if it has one. */
export function placeRef(refs: Record<string, unknown>, column: DefinedColumn, ref: unknown): void {
  if (column.group === undefined) refs[column.property] = ref;
  else {
    const { property, field } = column.group;
    ((refs[property] ??= Object.create(null)) as Record<string, unknown>)[field] = ref;
  }
}

/** True for the filter that tells the rows of a subclass, which belongs to no user. */
export function isClassFilter(name: string): boolean {
  return name.startsWith("\0");
}

/** What a class declares itself, beside what it inherits. */
export function ownOf(
  { columns, groups, relations, parent }: Definition,
): Pick<Definition, "columns" | "groups" | "relations"> {
  const base = parent?.definition;
  return {
    columns: columns.slice(base?.columns.length ?? 0),
    groups: groups.slice(base?.groups.length ?? 0),
    relations: relations.slice(base?.relations.length ?? 0),
  };
}

/** A column of a source as an expression. */
export function columnRef(column: DefinedColumn, source: TableSource): Expression<unknown> {
  return new Expression({
    kind: "column",
    source: sourceFor(column, source),
    name: column.name,
    type: column.spec.type,
    nullable: column.spec.nullable,
    label: column.label,
  });
}

const partSources = new WeakMap<TableSource, Map<Part, TableSource>>();

/**
 * The source of a column of an entity: the entity's own or, of what a joined subclass declares,
 * the subclass's table beside it. The compiler joins that one where a column of it is used.
 */
export function sourceFor({ part }: Pick<DefinedColumn, "part">, source: TableSource): TableSource {
  if (part === undefined) return source;
  let parts = partSources.get(source);
  if (parts === undefined) partSources.set(source, parts = new Map());
  let found = parts.get(part);
  if (found === undefined) parts.set(part, found = partSource(part, source));
  return found;
}

function partSource({ schema, name, key }: Part, parent: TableSource): TableSource {
  // Refers to itself in its condition, so that it is made in two steps.
  const via: { parent: TableSource; part: true; on: Node } = {
    parent,
    part: true,
    on: { kind: "raw", parts: [] },
  };
  const source: TableSource = { kind: "table", schema, name, via };
  via.on = allOf(
    ...key.map(({ name, of }) =>
      columnRef({ ...of, name, part: undefined }, source).eq(columnRef(of, parent))
    ),
  )[nodeOf];
  return source;
}

/** Fills a new object from a row; a compiled function of `row_shape.ts`. */
export type Fill = (object: object, row: WireRow) => void;
