/**
 * How many related objects each of many has, in one statement.
 *
 * @module
 */

import { tableColumn } from "../mapper/join_condition.ts";
import type { MappedRelation } from "../mapper/mapper.ts";
import { allOf, Expression } from "../sql/expression.ts";
import { nodeOf, type SelectNode, type TableSource } from "../sql/node.ts";
import { identity, keyIn, keyOf, keysOf } from "./keys.ts";
import type { Refinement } from "./paths.ts";
import type { Loader } from "./selectin.ts";

/** The number of related rows of each object, in the order of the objects. */
export async function countRelated(
  objects: readonly object[],
  relation: MappedRelation,
  { source, where }: Pick<Refinement, "source" | "where">,
  loader: Loader,
): Promise<number[]> {
  const { localColumns, targetColumns, through } = relation;
  const keys = keysOf(objects, localColumns);
  if (keys.length === 0) return objects.map(() => 0);
  const between: TableSource | undefined = through && { ...through.source };
  const columns = through?.from ?? targetColumns;
  const grouped = columns.map((column) => tableColumn(column, between ?? source)[nodeOf]);
  const select: SelectNode = {
    kind: "select",
    columns: [...grouped, { kind: "raw", parts: ["count(*)"] }],
    from: source,
    joins: through && [{
      kind: "inner",
      source: between!,
      on: allOf(...through.to.map((column, i) =>
        tableColumn(targetColumns[i]!, source).eq(tableColumn(column, between!))
      ))[nodeOf],
    }],
    where: allOf(
      ...[keyIn(columns, between ?? source, keys, loader.dialect), where]
        .filter((node) => node !== undefined).map((node) => new Expression<boolean>(node)),
    )[nodeOf],
    groupBy: grouped,
    orderBy: [],
    limit: undefined,
    offset: undefined,
    lock: undefined,
    unfiltered: loader.unfiltered,
  };
  const codecs = columns.map((column) => column.type.codec[loader.dialect]);
  const found = new Map<unknown, number>();
  for (const row of await loader.select(select)) {
    const key = codecs.map((codec, i) => codec.decode(row[i]!));
    found.set(identity(key), Number(row[codecs.length]));
  }
  return objects.map((object) => {
    const key = keyOf(object, localColumns);
    return key === undefined ? 0 : found.get(identity(key)) ?? 0;
  });
}
