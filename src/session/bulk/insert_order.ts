/**
 * What `bulkInsert()`, `bulkUpsert()` and `bulkPlan()` are asked for, checked before a row is looked at,
 * and how rows of one shape are inserted.
 *
 * @module
 */

import { InputError } from "../../errors.ts";
import type {
  CopyShape,
  Dialect,
  InsertShape,
  OnConflict,
  RowsStatement,
} from "../../dialect/dialect.ts";
import type { MappedColumn } from "../../mapper/mapped_column.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import { describe } from "../../sql/expression.ts";
import type { WireRow } from "../../sql/wire.ts";
import { didYouMean } from "../../util/nearest.ts";
import { assertOneTable, columnEncoder } from "./row_encoder.ts";
import { checkSource } from "./row_source.ts";
import type { BulkMethod } from "./types.ts";
import { isCounted, momentOf, versionOf } from "./versions.ts";

/** Rows gathered before they are sent. */
export const CHUNK = 5_000;
/** From so many rows on, COPY is worth its messages. */
export const COPY_FROM = 1_000;

/** What is done with rows of one shape. */
export interface BulkShape {
  /** The statements for some of them. */
  statements(rows: readonly WireRow[]): RowsStatement[];
  /** What of the same rows is in other tables; absent: nothing. */
  elsewhere?(rows: readonly WireRow[]): RowsStatement[];
  /** How so many of them are copied in; undefined where they are not. */
  copy(rows: number): CopyShape | undefined;
}

/** What an insert was asked for, checked. */
export interface InsertOrder {
  /** Of which entity. */
  readonly mapper: Mapper;
  /** How rows get there. */
  readonly method: BulkMethod;
  /** Columns to read back. */
  readonly returning: readonly MappedColumn[];
  /** What happens to a row that is there already. */
  readonly onConflict: InsertConflict | undefined;
}

/** A conflict's handling; what is updated can depend on what a row gives. */
export interface InsertConflict {
  /** The columns that tell rows apart. */
  readonly target: readonly MappedColumn[];
  /** The columns to take from the new row; `given`: all but the target. */
  readonly update: readonly MappedColumn[] | "given";
  /** Columns with values of their own. */
  readonly set: NonNullable<OnConflict["set"]>;
}

/** What `bulkInsert()` and `bulkUpsert()` are asked for, as it came. */
export interface InsertRequest {
  /** See `BulkInsertOptions`. */
  readonly onConflict?: unknown;
  /** See `BulkInsertOptions`. */
  readonly method?: unknown;
  /** The columns to read back. */
  readonly returning?: unknown;
}

/**
 * Checks what was asked for.
 *
 * @throws {InputError} for an option, a column or a value that is wrong.
 */
export function insertOrder(
  method: string,
  mapper: Mapper,
  source: unknown,
  request: InsertRequest,
  dialect: Dialect,
): InsertOrder {
  checkSource(method, "rows", source);
  assertOneTable(method, mapper);
  const how = request.method ?? "auto";
  if (how !== "auto" && how !== "insert" && how !== "copy") {
    throw new InputError(`The option "method" of ${method} is "auto", "insert" or "copy"`);
  }
  const returning = request.returning === undefined
    ? []
    : columnsNamed(mapper, "returning", request.returning);
  const onConflict = conflict(method, mapper, request.onConflict, dialect);
  if (how === "copy") {
    if (returning.length > 0 || onConflict !== undefined) {
      throw new InputError("COPY neither gives rows back nor minds conflicts", {
        hint: `Leave out { method: "copy" }`,
      });
    }
    if (dialect.copyRows === undefined) {
      throw new InputError("This database has no COPY", { hint: `Leave out { method: "copy" }` });
    }
  }
  return { mapper, method: how, returning, onConflict };
}

function conflict(
  method: string,
  mapper: Mapper,
  given: unknown,
  dialect: Dialect,
): InsertConflict | undefined {
  if (given === undefined) return undefined;
  if (given === "nothing") return { target: [], update: [], set: [] };
  if (typeof given !== "object" || given === null) {
    throw new InputError(`onConflict is "nothing" or an object, found ${describe(given)}`, {
      hint: `As in { onConflict: { target: "email", update: ["name"] } }`,
    });
  }
  checkNames(`onConflict of ${method}`, given, ["target", "update", "set"]);
  const { target, update = "nothing", set } = given as Record<string, unknown>;
  const targets = target === undefined
    ? []
    : columnsNamed(mapper, "onConflict.target", Array.isArray(target) ? target : [target]);
  const taken = update === "nothing"
    ? []
    : update === "given"
    ? update
    : columnsNamed(mapper, "onConflict.update", update);
  const values = set === undefined ? [] : valuesOf(mapper, set, dialect);
  if (targets.length === 0 && (taken.length > 0 || values.length > 0)) {
    throw new InputError("onConflict says what to update, but not on which conflict", {
      hint: `Name the columns of a unique constraint: { target: "email" }`,
    });
  }
  return { target: targets, update: taken, set: values };
}

function valuesOf(
  mapper: Mapper,
  set: unknown,
  dialect: Dialect,
): NonNullable<OnConflict["set"]> {
  if (typeof set !== "object" || set === null) {
    throw new InputError(`onConflict.set takes an object of values, found ${describe(set)}`);
  }
  return Object.entries(set).map(([property, value]) => {
    const [column] = columnsNamed(mapper, "onConflict.set", [property]) as [MappedColumn];
    return { column, value: columnEncoder(column, dialect.name)(value) };
  });
}

/** @throws {InputError} for a name that is none of `known`. */
export function checkNames(what: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    throw new InputError(`${what} has no option "${name}"`, { hint: didYouMean(name, known) });
  }
}

/** @throws {InputError} for what is no list of the entity's columns. */
export function columnsNamed(mapper: Mapper, what: string, names: unknown): MappedColumn[] {
  if (!Array.isArray(names)) {
    throw new InputError(`${what} takes a list of columns, found ${describe(names)}`, {
      hint: `As in ["${mapper.columns[0]!.property}"]`,
    });
  }
  return names.map((name: unknown) => {
    const column = typeof name === "string" ? mapper.column(name) : undefined;
    if (column !== undefined) return column;
    const known = mapper.columns.map(({ property }) => property);
    throw new InputError(
      `${what} names ${
        typeof name === "string" ? `"${name}"` : describe(name)
      }, and ${mapper.name} ` +
        "has no such column",
      typeof name === "string" ? { hint: didYouMean(name, known) } : {},
    );
  });
}

/**
 * How rows of one shape are inserted.
 *
 * @param given Those of the columns that the rows themselves give.
 */
export function insertShape(
  order: InsertOrder,
  columns: readonly MappedColumn[],
  given: readonly MappedColumn[],
  dialect: Dialect,
): BulkShape & { readonly insert: InsertShape } {
  const onConflict = order.onConflict && conflictOf(order, order.onConflict, given, dialect);
  const insert: InsertShape = {
    table: order.mapper.table,
    columns,
    // By the target, rows that were left alone are told from the others.
    returning: onConflict?.guard === undefined
      ? order.returning
      : [...order.returning, ...onConflict.target],
    onConflict,
  };
  const copyShape = dialect.copyRows?.(insert);
  const simple = order.onConflict === undefined && order.returning.length === 0 &&
    columns.length > 0;
  const least = order.method === "copy" ? 1 : order.method === "insert" ? Infinity : COPY_FROM;
  return {
    insert,
    statements: (rows) => dialect.insertRows(insert, rows),
    copy: (rows) => simple && rows >= least ? copyShape : undefined,
  };
}

function conflictOf(
  { mapper }: InsertOrder,
  { target, update, set }: InsertConflict,
  given: readonly MappedColumn[],
  dialect: Dialect,
): OnConflict {
  const version = versionOf(mapper);
  const taken = update === "given"
    ? given.filter((c) => !target.includes(c) && !c.primaryKey && !isSet(set, c) && c !== version)
    : update;
  if (taken.length + set.length === 0) return { target, update: [] };
  // Whoever sets the version himself knows what he does.
  const own = version === undefined || taken.includes(version) || isSet(set, version);
  const moment = own ? undefined : momentOf(version, dialect.name);
  const versions: Pick<OnConflict, "counter" | "guard"> = own ? {} : {
    counter: isCounted(version) ? version : undefined,
    guard: given.includes(version) ? version : undefined,
  };
  // What a flush would do for an object that it updates.
  const touched = mapper.columns.flatMap((column) => {
    const value = column.defined.spec.updateValue;
    if (value === undefined || taken.includes(column) || isSet(set, column)) return [];
    return { column, value: columnEncoder(column, dialect.name)(value()) };
  });
  if (moment !== undefined) touched.push({ column: version!, value: moment });
  return { target, update: taken, set: [...set, ...touched], ...versions };
}

function isSet(set: InsertConflict["set"], column: MappedColumn): boolean {
  return set.some((one) => one.column === column);
}
