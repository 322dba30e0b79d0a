/**
 * What an entity declares, in the form the rest of the mapper reads.
 *
 * @module
 */

import type { ColumnSpec } from "../schema/column.ts";
import { Expression } from "../sql/expression.ts";
import type { TableSource } from "../sql/node.ts";
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
  /** What it extends, and what the discriminator says of it: that of a subclass. */
  readonly parent?: { readonly definition: Definition; readonly value: string };
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

/** A column of a source as an expression. */
export function columnRef(column: DefinedColumn, source: TableSource): Expression<unknown> {
  return new Expression({
    kind: "column",
    source,
    name: column.name,
    type: column.spec.type,
    nullable: column.spec.nullable,
    label: column.label,
  });
}

/** Fills a new object from a row; a compiled function of `row_shape.ts`. */
export type Fill = (object: object, row: WireRow) => void;
