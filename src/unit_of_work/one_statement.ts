/**
 * Whether a flush comes to one statement, which can be sent without BEGIN and COMMIT: a statement is a
 * transaction by itself.
 *
 * @module
 */

import type { Dialect } from "../dialect/dialect.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import type { FlushPlan } from "./flush_plan.ts";
import { groupInserts, updateParts } from "./flush_shapes.ts";
import type { Insert, Update } from "./flush_steps.ts";
import { groupMembers } from "./membership.ts";

/**
 * True if the plan is one statement whose outcome nobody has to see before it is kept: new rows of one
 * shape, links of one relation, or one row that is changed or deleted. That a row was not there, or not
 * as it was loaded, is told by one that did nothing; of several the others would be stored by then.
 */
export function isOneStatement(plan: FlushPlan, dialect: Dialect): boolean {
  const { inserts, order, deletes, joined, parted } = plan;
  const { releases, early, updates } = order;
  const steps = inserts.length + releases.length + early.length + updates.length + deletes.length;
  if (steps > 1 || (steps === 1 && joined.length + parted.length > 0)) return false;
  if (inserts.length === 1) return isOneInsert(inserts[0]!, dialect);
  if (updates.length === 1) {
    return updates[0]!.length === 1 && isOneUpdate(updates[0]![0]!, dialect);
  }
  if (deletes.length === 1) {
    return deletes[0]!.length === 1 && deletes[0]![0]!.mapper.parts.length === 1;
  }
  const links = joined.length === 0 ? parted : parted.length === 0 ? joined : [];
  return links.length > 0 && links.length <= dialect.rowsAtOnce && groupMembers(links).length === 1;
}

function isOneInsert(rows: readonly Insert[], dialect: Dialect): boolean {
  const { mapper, row } = rows[0]!;
  if (rows.length > dialect.rowsAtOnce || mapper.parts.length > 1) return false;
  if (mapper.versionGenerated && dialect.readRows !== undefined) return false;
  if (row.some((value, i) => value === undefined && isCustom(mapper.columns[i]!))) return false;
  return groupInserts(rows).length === 1;
}

function isOneUpdate(update: Update, dialect: Dialect): boolean {
  const { versionGenerated, versionIndex, columns } = update.mapper;
  if (versionGenerated && (dialect.readRows !== undefined || isCustom(columns[versionIndex]!))) {
    return false;
  }
  return updateParts([update]).length === 1;
}

/** The program itself decodes what comes back, and can refuse it: nothing may be stored then. */
function isCustom({ type }: MappedColumn): boolean {
  return type.name === "customType" || type.element?.name === "customType";
}
