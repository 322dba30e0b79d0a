/**
 * Versions in bulk calls: every row that is changed gets a new one, so that a flush notices, and a
 * row that gives one is changed only if it is as it was then.
 *
 * @module
 */

import { StaleDataError } from "../../errors.ts";
import type { MappedColumn } from "../../mapper/mapped_column.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import { firstVersion, isCounter, nextVersion } from "../../schema/version.ts";
import type { DialectName, WireRow, WireValue } from "../../sql/wire.ts";
import { columnEncoder } from "./row_encoder.ts";

/** The version of an entity; undefined without one. */
export function versionOf({ columns, versionIndex }: Mapper): MappedColumn | undefined {
  return columns[versionIndex];
}

/** True if the database counts it: no value needs to be sent. */
export function isCounted(version: MappedColumn): boolean {
  return version.defined.spec.version === "flush" && isCounter(version.type);
}

/** A moment of now for a version that is one; undefined for others. */
export function momentOf(
  version: MappedColumn | undefined,
  dialect: DialectName,
  before?: WireValue,
): WireValue | undefined {
  if (version?.defined.spec.version !== "flush" || isCounter(version.type)) return undefined;
  const codec = version.type.codec[dialect];
  const moment = before === undefined || before === null
    ? firstVersion(version.type)
    : nextVersion(codec.decode(before));
  return columnEncoder(version, dialect)(moment);
}

/**
 * Compares the rows that a statement changed with those that were sent.
 *
 * @param identify The identity of a row that was sent.
 * @throws {StaleDataError} naming those that were not there as they should.
 */
export function assertFresh(
  mapper: Mapper,
  verb: string,
  sent: { readonly rows: readonly WireRow[]; readonly indexes: readonly number[] },
  changed: ReadonlySet<string>,
  identify: (row: WireRow) => string,
): void {
  if (changed.size === sent.rows.length) return;
  const stale = sent.indexes.filter((_, i) => !changed.has(identify(sent.rows[i]!)));
  throw new StaleDataError(
    `${sent.rows.length} ${
      sent.rows.length === 1 ? "row" : "rows"
    } of ${mapper.name} were to be ${verb}, and ${changed.size} were: not row ${
      stale.slice(0, 5).join(", ")
    }${stale.length > 5 ? ", …" : ""} of the source`,
    {
      hint: "Somebody else changed or deleted them meanwhile; read them again",
      row: stale[0],
    },
  );
}
