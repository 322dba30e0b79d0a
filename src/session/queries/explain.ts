/**
 * How the database would go about a query.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type { DialectName, DriverResult, DriverStatement } from "../../dialect/driver.ts";
import { unsupportedError } from "../../dialect/functions.ts";
import { checkWord } from "../../sql/operand.ts";

/** What is told of a query. */
export interface ExplainOptions {
  /** Runs the query and tells the real times (PostgreSQL). Default false. */
  analyze?: boolean;
  /** Text for people, or the database's own JSON. Default `text`. */
  format?: "text" | "json";
}

/** The statement that explains another. */
export function explainStatement(
  statement: DriverStatement,
  dialect: DialectName,
  options: ExplainOptions,
): DriverStatement {
  for (const name of Object.keys(options)) {
    checkWord("An option of explain()", name, ["analyze", "format"]);
  }
  const format = checkWord("The format of explain()", options.format ?? "text", ["text", "json"]);
  const { analyze = false } = options;
  if (typeof analyze !== "boolean") throw new InputError(`The option "analyze" is true or false`);
  const { text, params } = statement;
  if (dialect === "sqlite") {
    if (analyze) throw unsupportedError("explain({ analyze })", "Use explain() without it");
    return { text: `explain query plan ${text}`, params, prepare: false };
  }
  const words = `${analyze ? "analyze, " : ""}format ${format}`;
  return { text: `explain (${words}) ${text}`, params, prepare: false };
}

/** What an explaining statement gave. */
export function readExplanation(
  { rows }: DriverResult,
  dialect: DialectName,
  options: ExplainOptions,
): unknown {
  if (dialect === "postgres") {
    const text = rows.map((row) => String(row[0])).join("\n");
    return options.format === "json" ? JSON.parse(text) : text;
  }
  const steps = rows.map(([id, parent, , detail]) => ({
    id: Number(id),
    parent: Number(parent),
    detail: String(detail),
  }));
  if (options.format === "json") return steps;
  const depths = new Map<number, number>();
  return steps.map(({ id, parent, detail }) => {
    const depth = (depths.get(parent) ?? -1) + 1;
    depths.set(id, depth);
    return `${"  ".repeat(depth)}${detail}`;
  }).join("\n");
}
