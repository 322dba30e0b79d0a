/**
 * From a type as an expression knows it to the type with its codecs.
 *
 * @module
 */

import { arrayColumn } from "../schema/array_type.ts";
import {
  bigintColumn,
  booleanColumn,
  bytesColumn,
  type ColumnType,
  dateColumn,
  doubleColumn,
  integerColumn,
  jsonColumn,
  numericColumn,
  realColumn,
  smallintColumn,
  textColumn,
  timeColumn,
  timestampColumn,
  timestamptzColumn,
  uuidColumn,
} from "../schema/types.ts";
import {
  jsonReaders,
  jsonShape,
  listReaders,
  objectReaders,
  plainReaders,
} from "../schema/json_shape.ts";
import type { JsonShapeRef, SqlType, TypeName, TypeRef } from "../sql/wire.ts";

const byName: Readonly<Record<TypeName, SqlType<unknown>>> = {
  smallint: smallintColumn,
  integer: integerColumn,
  bigint: bigintColumn,
  numeric: numericColumn(),
  real: realColumn,
  double: doubleColumn,
  text: textColumn(),
  boolean: booleanColumn,
  uuid: uuidColumn,
  bytes: bytesColumn,
  json: jsonColumn,
  date: dateColumn,
  time: timeColumn,
  timestamp: timestampColumn,
  timestamptz: timestamptzColumn,
};

const shapes = new WeakMap<JsonShapeRef, SqlType<unknown>>();
const arrays = new WeakMap<SqlType<unknown>, SqlType<unknown>>();

/** The type, with its codecs. */
export function resolveType(type: TypeRef): SqlType<unknown> {
  if (typeof type === "string") return byName[type];
  if ("name" in type) return type;
  if (!("arrayOf" in type)) return resolveShape(type);
  const element = resolveType(type.arrayOf);
  let array = arrays.get(element);
  if (array === undefined) {
    // Every type there is comes from schema/types.ts and its neighbours.
    array = arrayColumn(element as ColumnType<unknown>, true);
    arrays.set(element, array);
  }
  return array;
}

function resolveShape(shape: JsonShapeRef): SqlType<unknown> {
  let type = shapes.get(shape);
  if (type === undefined) {
    const readers = (part: TypeRef | undefined) =>
      part === undefined ? plainReaders : jsonReaders(resolveType(part));
    type = jsonShape(
      "listOf" in shape
        ? listReaders(readers(shape.listOf))
        : objectReaders(shape.objectOf.map(([name, part]) => [name, readers(part)] as const)),
    );
    shapes.set(shape, type);
  }
  return type;
}
