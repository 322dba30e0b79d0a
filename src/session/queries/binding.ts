/**
 * The values of a prepared query's parameters, and its statements, compiled once.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type { DriverStatement } from "../../dialect/driver.ts";
import type { PreparedStatement } from "../../dialect/dialect.ts";
import { describe } from "../../sql/operand.ts";

/** The key of a session's reader, for prepared queries. */
export const runnerOf: unique symbol = Symbol("sluice.runner");
/** The key of what makes a prepared query one of a session, with values. */
export const rebind: unique symbol = Symbol("sluice.rebind");

/** The values for one run of a prepared query. */
export interface Binding {
  /** The values by name. */
  readonly values: object;
  /** The statements of the prepared query, by what they are for. */
  readonly statements: Map<string, PreparedStatement>;
}

/**
 * A statement with its values, compiled at its first use for a prepared query. One without a
 * purpose has values beside those of the parameters, and is compiled each time.
 */
export function bindStatement(
  binding: Binding | undefined,
  purpose: string | undefined,
  compile: () => PreparedStatement,
): DriverStatement {
  if (binding === undefined) return fillIn(compile(), {});
  if (purpose === undefined) return fillIn(compile(), binding.values);
  let statement = binding.statements.get(purpose);
  if (statement === undefined) binding.statements.set(purpose, statement = compile());
  return fillIn(statement, binding.values);
}

/** Gives the parameters of a statement their values. */
export function fillIn(statement: PreparedStatement, values: object): DriverStatement {
  const { slots, text } = statement;
  if (slots === undefined) return statement;
  const params = [...statement.params];
  for (const { position, name, encode } of slots) {
    const value = Object.hasOwn(values, name)
      ? (values as Record<string, unknown>)[name]
      : undefined;
    if (value === undefined || value === null) {
      throw new InputError(`The parameter "${name}" was given ${describe(value)}`, {
        hint: value === null
          ? "Prepare a query of its own with isNull()"
          : "Pass a value for every parameter of the prepared query",
      });
    }
    params[position] = encode(value);
  }
  return { text, params };
}
