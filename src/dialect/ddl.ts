/**
 * CREATE TABLE and its like: the spelling both databases share.
 *
 * @module
 */

import type { Column, ForeignKey, Index, Table } from "../schema/table.ts";
import { quoteIdentifier, quoteTable } from "../sql/identifier.ts";
import type { DialectName } from "./driver.ts";

/** What differs in DDL. */
export interface DdlStyle {
  /** Whose types to use. */
  readonly name: DialectName;
  /** Follows the type of a column whose value the database gives. */
  readonly identity: string;
  /** The identity column carries PRIMARY KEY itself. */
  readonly inlineIdentityKey: boolean;
  /** Spells a default expression of a column of the named type. */
  defaultExpression(expression: string, type: string): string;
}

/** `create table …` with the foreign keys to all tables but `later`, and then its indexes. */
export function createTable(table: Table, style: DdlStyle, later: readonly Table[]): string[] {
  const lines = table.columns.map((column) => columnLine(column, style));
  const identityIsKey = style.inlineIdentityKey && table.primaryKey.some((key) => key.generated);
  if (table.primaryKey.length > 0 && !identityIsKey) {
    lines.push(`primary key (${names(table.primaryKey)})`);
  }
  for (const column of table.columns) {
    const typed = style.name === "postgres" && column.type.enumType !== undefined;
    if (column.type.check !== undefined && !typed) {
      lines.push(`check (${column.type.check(quoteIdentifier(column.name))})`);
    }
  }
  for (const columns of table.unique) lines.push(`unique (${names(columns)})`);
  for (const check of table.checks) lines.push(`check (${check})`);
  for (const key of table.foreignKeys) {
    if (!later.includes(key.target)) lines.push(foreignKeyLine(key));
  }
  const create = `create table ${quoteTable(table)} (\n  ${lines.join(",\n  ")}\n)`;
  const indexed = table.columns.filter((column) => column.indexed)
    .map((column): Index => ({
      name: undefined,
      columns: [column],
      unique: false,
      where: undefined,
    }));
  return [create, ...[...indexed, ...table.indexes].map((index) => createIndex(table, index))];
}

function createIndex(table: Table, index: Index): string {
  const name = quoteIdentifier(index.name ?? indexName(table, index.columns));
  const where = index.where === undefined ? "" : ` where ${index.where}`;
  return `create ${index.unique ? "unique " : ""}index ${name} on ${quoteTable(table)} (${
    names(index.columns)
  })${where}`;
}

/** `foreign key (…) references …`, inside CREATE TABLE or after ADD. */
export function foreignKeyLine(key: ForeignKey): string {
  let line = `foreign key (${names(key.columns)}) references ${quoteTable(key.target)} (${
    names(key.targetColumns)
  })`;
  if (key.onDelete !== undefined) line += ` on delete ${key.onDelete}`;
  if (key.onUpdate !== undefined) line += ` on update ${key.onUpdate}`;
  return line;
}

function columnLine(column: Column, style: DdlStyle): string {
  let line = `${quoteIdentifier(column.name)} ${column.type.ddl[style.name]}`;
  if (column.generated) line += ` ${style.identity}`;
  if (!column.nullable) line += " not null";
  if (column.unique) line += " unique";
  if (column.defaultSql !== undefined) {
    line += ` default ${style.defaultExpression(column.defaultSql, column.type.name)}`;
  }
  return line;
}

function indexName(table: Table, columns: readonly Column[]): string {
  const name = `${table.name}_${columns.map((column) => column.name).join("_")}_idx`;
  // A hash keeps long names apart where PostgreSQL would cut them to the same 63 bytes.
  if (name.length <= 60) return name;
  let hash = 5381;
  for (let i = 0; i < name.length; i++) hash = (hash * 33 + name.charCodeAt(i)) >>> 0;
  return `${name.slice(0, 40)}_${hash.toString(36)}_idx`;
}

function names(columns: readonly Column[]): string {
  return columns.map((column) => quoteIdentifier(column.name)).join(", ");
}
