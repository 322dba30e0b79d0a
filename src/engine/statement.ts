/** From a statement's value to its result: compile, run, wrap. */

import { InputError } from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import type { CallOptions, DriverResult, DriverStatement } from "../dialect/driver.ts";
import { describe } from "../sql/expression.ts";
import { type HasNode, nodeIn } from "../sql/node.ts";
import { caught } from "../util/caught.ts";
import type { Link } from "./link.ts";
import { Result } from "./result.ts";

/** The key of what reads the rows of a statement that knows their types itself. */
export const readRowsOf: unique symbol = Symbol("sluice.readRows");

/**
 * Something that can be executed and gives rows of type `Row`: a `` sql`…` `` statement, a query for
 * rows, `insert()`, `update()`, `deleteFrom()`.
 */
export interface Executable<out Row> extends HasNode {
  /** For the compiler's eyes only: the type of a row. */
  readonly valueType?: Row;
  /**
   * Reads its rows; absent: by the types that the database tells.
   *
   * @internal
   */
  readonly [readRowsOf]?: (result: DriverResult, dialect: Dialect) => unknown[];
}

const WHOLE = new Set(["raw", "select", "compound", "insert", "update", "delete"]);

/** Spells a statement. Bad values are refused here, before anything is sent. */
export function compile(statement: Executable<unknown>, dialect: Dialect): DriverStatement {
  const node = nodeIn(statement);
  if (node === undefined) {
    throw new InputError(`A statement is expected, found ${describe(statement)}`, {
      hint: "Write sql`select … ${value}`; for trusted text use sql.raw(text)",
    });
  }
  if (!WHOLE.has(node.kind)) {
    throw new InputError(`A whole statement is expected, found only a part of one (${node.kind})`, {
      hint: "Write sql`select ${part} …`",
    });
  }
  return dialect.compile(node);
}

/** Runs a statement on a link. */
export function execute<Row>(
  link: Link,
  statement: Executable<Row>,
  call?: CallOptions,
): Promise<Result<Row>> {
  const { dialect } = link.context;
  let compiled: DriverStatement;
  try {
    compiled = compile(statement, dialect);
  } catch (error) {
    return caught(Promise.reject(error));
  }
  return caught(
    link.run(compiled, call).then((result) => {
      const rows = statement[readRowsOf]?.(result, dialect) as Row[] | undefined;
      return new Result<Row>(result, dialect, rows);
    }),
  );
}

/** The result of a statement. */
export function resultOf<Row>(
  statement: Executable<Row>,
  result: DriverResult,
  dialect: Dialect,
): Result<Row> {
  const rows = statement[readRowsOf]?.(result, dialect) as Row[] | undefined;
  return new Result<Row>(result, dialect, rows);
}
