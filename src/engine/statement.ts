/** From a statement's value to its result: compile, run, wrap. */

import { InputError } from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import type { CallOptions, DriverStatement } from "../dialect/driver.ts";
import { describe } from "../sql/expression.ts";
import { type HasNode, nodeIn } from "../sql/node.ts";
import { caught } from "../util/caught.ts";
import type { Link } from "./link.ts";
import { Result } from "./result.ts";

/** Something that can be executed and gives rows of type `Row`: a `` sql`…` `` statement. */
export interface Executable<out Row> extends HasNode {
  /** For the compiler's eyes only: the type of a row. */
  readonly valueType?: Row;
}

/** Spells a statement. Bad values are refused here, before anything is sent. */
export function compile(statement: Executable<unknown>, dialect: Dialect): DriverStatement {
  const node = nodeIn(statement);
  if (node === undefined) {
    throw new InputError(`A statement is expected, found ${describe(statement)}`, {
      hint: "Write sql`select … ${value}`; for trusted text use sql.raw(text)",
    });
  }
  if (node.kind !== "raw" && node.kind !== "select") {
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
  return caught(link.run(compiled, call).then((result) => new Result<Row>(result, dialect)));
}
