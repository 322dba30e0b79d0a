import type { Column } from "../schema/table.ts";
import { quoteIdentifier as quote } from "../sql/identifier.ts";
import type { InsertShape } from "./dialect.ts";

/**
 * `on conflict … returning …`: the same on PostgreSQL and SQLite.
 *
 * @param placeholder Spells the parameter for value `i` of `onConflict.set`; these follow the rows'.
 */
export function insertTail(
  { table, onConflict, returning }: InsertShape,
  placeholder: (i: number, column: Column) => string,
): string {
  let tail = "";
  if (onConflict !== undefined) {
    const target = onConflict.target.map((column) => quote(column.name)).join(", ");
    const set = [
      ...onConflict.update.map(({ name }) => `${quote(name)} = excluded.${quote(name)}`),
      ...(onConflict.set ?? []).map(({ column }, i) =>
        `${quote(column.name)} = ${placeholder(i, column)}`
      ),
    ];
    const { counter, guard } = onConflict;
    const stored = ({ name }: Column) => `${quote(table.name)}.${quote(name)}`;
    if (counter !== undefined) set.push(`${quote(counter.name)} = ${stored(counter)} + 1`);
    tail += ` on conflict${target === "" ? "" : ` (${target})`} do ${
      set.length === 0 ? "nothing" : `update set ${set.join(", ")}`
    }`;
    if (guard !== undefined) tail += ` where ${stored(guard)} = excluded.${quote(guard.name)}`;
  }
  if (returning.length > 0) {
    tail += ` returning ${returning.map((column) => quote(column.name)).join(", ")}`;
  }
  return tail;
}
