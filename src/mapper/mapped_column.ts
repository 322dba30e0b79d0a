/** A column of a mapper: the table's column and the property it maps to. @module */

import type { Column } from "../schema/table.ts";
import type { DefinedColumn, DefinedGroup } from "./definition.ts";

/** A column with the property it maps to. */
export interface MappedColumn extends Column {
  /** The property. */
  readonly property: string;
  /** As declared. */
  readonly defined: DefinedColumn;
  /** Part of the primary key. */
  readonly primaryKey: boolean;
  /** Left out when objects are loaded. */
  readonly deferred: boolean;
  /** The group it belongs to. */
  readonly group: DefinedGroup | undefined;
}

/** The column of a declaration. */
export function mapColumn(
  defined: DefinedColumn,
  groups: readonly DefinedGroup[],
): MappedColumn {
  const { spec } = defined;
  return {
    property: defined.property,
    defined,
    name: defined.name,
    label: defined.label,
    type: spec.type,
    nullable: spec.nullable,
    generated: spec.generated,
    defaultSql: spec.defaultSql,
    unique: spec.unique,
    indexed: spec.indexed,
    primaryKey: spec.primaryKey,
    deferred: spec.deferred,
    group: groups.find(({ property }) => property === defined.group?.property),
  };
}

/** A column of another table that holds a key: of the same type, and nothing else. */
export function keyColumn({ type }: Column, name: string, table: string): Column {
  return {
    name,
    label: `${table}.${name}`,
    type,
    nullable: false,
    generated: false,
    defaultSql: undefined,
    unique: false,
    indexed: false,
  };
}
