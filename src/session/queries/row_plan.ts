/** What a query for rows asks for, as plain data. @module */

import type { DriverColumn, DriverResult, DriverStatement } from "../../dialect/driver.ts";
import type { Dialect, PreparedStatement } from "../../dialect/dialect.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import type { EntityClass } from "../../mapper/types.ts";
import type { Node, SelectNode, Source } from "../../sql/node.ts";
import type { WireRow } from "../../sql/wire.ts";
import type { Binding } from "./binding.ts";

/** The limits of a query. */
export interface QueryLimits {
  /** Rows fetched at a time by a stream. */
  readonly window: number;
  /** Gives the query up. */
  readonly signal: AbortSignal | undefined;
  /** Longest time for each of its statements, in milliseconds. */
  readonly timeout: number | undefined;
  /** The values of its parameters, when it was prepared. */
  readonly binding: Binding | undefined;
}

/** What is selected from: sources, and the columns callbacks are given for them. */
export interface SourcesPlan extends QueryLimits {
  /** The statement so far; its columns are not chosen yet, or those of the selection. */
  readonly select: SelectNode;
  /** The sources, in order. */
  readonly sources: readonly Source[];
  /** Their columns, in the same order. */
  readonly refs: readonly unknown[];
  /** The entity it began with; its key completes the order of pages. */
  readonly root: Mapper | undefined;
}

/** What a query for rows needs of its session. */
export interface RowRunner {
  /** How SQL is spelt. */
  readonly dialect: Dialect;
  /** All entities of the engine: what prepared queries are kept by. */
  readonly registry: object;
  /** The mapper of an entity class. */
  mapper(entityClass: EntityClass): Mapper;
  /** Spells a statement. */
  compile(node: Node): PreparedStatement;
  /** Runs a statement, after a flush where one is due. */
  run(statement: DriverStatement, plan: RowLimits): Promise<DriverResult>;
  /** The rows of a statement, read in windows. */
  stream(
    statement: () => DriverStatement,
    plan: RowLimits & { readonly window: number },
    read: (rows: WireRow[], columns: readonly DriverColumn[]) => unknown[],
  ): AsyncIterableIterator<unknown>;
}

/** What limits a statement. */
export interface RowLimits {
  /** Gives it up. */
  readonly signal: AbortSignal | undefined;
  /** Longest time, in milliseconds. */
  readonly timeout: number | undefined;
  /** It locks rows, and so is for a transaction. */
  readonly locks?: boolean;
}
