/**
 * What `insert()`, `update()` and `deleteFrom()` write to: the table of an entity, or one of those
 * that hold the rows of a joined subclass.
 *
 * @module
 */

import { InputError, UsageError } from "../../errors.ts";
import {
  columnRef,
  type DefinedColumn,
  type Definition,
  definitionOf,
  type Part,
  placeRef,
} from "../../mapper/definition.ts";
import { within } from "../../mapper/callbacks.ts";
import { checkSourceFilters } from "../../mapper/filters.ts";
import type { ColumnRefs, FieldsOf } from "../../mapper/types.ts";
import { allOf, describe, Expression } from "../../sql/expression.ts";
import {
  type DeleteNode,
  nodeOf,
  type SelectNode,
  type TableSource,
  type UpdateNode,
} from "../../sql/node.ts";
import { didYouMean } from "../../util/nearest.ts";

/** The columns of an entity in the callbacks of these statements. */
export type WriteRef<E> = ColumnRefs<FieldsOf<E>>;

/** The entity of a statement, and the tables that it can write. */
export class Target<E> {
  /** Its declarations. */
  readonly definition: Definition;
  /** Its columns, for conditions. */
  readonly refs: WriteRef<E>;
  readonly #tables = new Map<Part | undefined, { source: TableSource; refs: WriteRef<E> }>();

  /** Of a class; `what` is the call, for messages. */
  constructor(entityClass: unknown, what: string) {
    const definition = typeof entityClass === "function"
      ? (entityClass as Partial<Record<typeof definitionOf, Definition>>)[definitionOf]
      : undefined;
    if (definition === undefined) {
      throw new InputError(`${what} takes an entity class, found ${describe(entityClass)}`);
    }
    this.definition = definition;
    const refs: Record<string, unknown> = Object.create(null);
    for (const column of definition.columns) {
      placeRef(refs, column, columnRef(column, definition.source));
    }
    for (const { property } of definition.relations) {
      Object.defineProperty(refs, property, {
        get: () => refuseRelation(property, what, definition.tableName),
      });
    }
    this.refs = refs as WriteRef<E>;
  }

  /** The version that changes with every row: those that the database gives are its own affair. */
  get version(): DefinedColumn | undefined {
    return this.definition.columns.find(({ spec }) => spec.version === "flush");
  }

  /** True if the column is in the table that a statement writes. */
  holds(column: DefinedColumn, source: TableSource): boolean {
    return !this.isJoined || this.table(column.part).source === source;
  }

  /** The column of a property. */
  column(property: string, what: string): DefinedColumn {
    const found = this.definition.columns.find((column) => column.property === property);
    if (found !== undefined) return found;
    throw new InputError(
      `${what} names "${property}", and ${this.definition.tableName} has no such column`,
      {
        hint: didYouMean(property, this.definition.columns.map((column) => column.property)),
      },
    );
  }

  /** The filters that do not apply, with some more. */
  unfiltered(names: readonly string[], before: readonly string[] = []): readonly string[] {
    const { source, tableName } = this.definition;
    checkSourceFilters(names, tableName, [source]);
    return [...before, ...names];
  }

  /** Calls a callback with columns. */
  call<T>(what: string, callback: (refs: WriteRef<E>) => T, refs = this.refs): T {
    return within(what, [this.definition.source], [refs], callback);
  }

  /** The rows are in several tables. */
  get isJoined(): boolean {
    return this.definition.part !== undefined;
  }

  /** One of the tables that hold the rows, to be written, and its columns. */
  table(part: Part | undefined): { source: TableSource; refs: WriteRef<E> } {
    const { refs, definition: { source, columns } } = this;
    if (!this.isJoined) return { source, refs };
    let table = this.#tables.get(part);
    if (table === undefined) {
      const { schema, name } = part ?? source;
      const own: TableSource = { kind: "table", schema, name };
      const ownRefs: Record<string, unknown> = Object.create(null);
      for (const column of columns) {
        const key = part?.key.find(({ of }) => of.property === column.property);
        const get = (): Expression<unknown> => {
          if (key !== undefined) {
            return columnRef({ ...column, name: key.name, part: undefined }, own);
          }
          if (column.part === part) return columnRef({ ...column, part: undefined }, own);
          throw new InputError(
            `"${column.label}" is not in the table "${name}" that the statement writes`,
            { hint: "Use it in where(), and write one statement for each table" },
          );
        };
        Object.defineProperty(ownRefs, column.property, { get, enumerable: true });
      }
      this.#tables.set(part, table = { source: own, refs: ownRefs as WriteRef<E> });
    }
    return table;
  }

  /** The columns of the table that a statement writes. */
  refsOf(source: TableSource): WriteRef<E> {
    return this.#tables.values().find((table) => table.source === source)?.refs ?? this.refs;
  }

  /** The condition of a statement: which rows it is about is told by all tables of the class. */
  located<N extends UpdateNode | DeleteNode>(node: N): N {
    if (!this.isJoined) return node;
    const { definition: { source, columns } } = this;
    // The refs of a table are made by property, one expression for each column.
    const refs = this.refsOf(node.table) as unknown as Record<string, Expression<unknown>>;
    const keys = columns.filter(({ spec }) => spec.primaryKey).map((column) =>
      columnRef(column, source).eq(refs[column.property]!)
    );
    const given = node.where === undefined ? [] : [new Expression<boolean>(node.where)];
    const select: SelectNode = {
      kind: "select",
      columns: [{ kind: "raw", parts: ["1"] }],
      from: source,
      where: allOf(...keys, ...given)[nodeOf],
      orderBy: [],
      limit: undefined,
      offset: undefined,
      lock: undefined,
    };
    return { ...node, where: { kind: "exists", select } };
  }
}

/** The statement is built apart from any engine, and so does not know where a relation leads. */
function refuseRelation(property: string, what: string, table: string): never {
  throw new UsageError(`${what} knows the columns of "${table}", and "${property}" is a relation`, {
    hint: "Choose the rows by key, with a subquery: .where((b) => " +
      "b.id.in(session.query(Book).where((b) => b.author.name.eq(…)).select((b) => b.id)))",
  });
}
