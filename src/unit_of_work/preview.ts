/**
 * `preview()`: what a flush would do, without doing it.
 *
 * @module
 */

import type { Dialect, RowsStatement } from "../dialect/dialect.ts";
import type { MappedColumn } from "../mapper/mapped_column.ts";
import type { Column, Table } from "../schema/table.ts";
import type { WireRow } from "../sql/wire.ts";
import {
  deleteParts,
  groupInserts,
  groupUpdates,
  insertParts,
  updateParts,
} from "./flush_shapes.ts";
import type { FlushPlan } from "./flush_plan.ts";
import type { Update } from "./flush_steps.ts";
import { groupMembers, joinShape, type Membership, partShape } from "./membership.ts";

/** Rows that a flush writes together. */
export interface PreviewStep {
  /** What happens to them; `link` and `unlink` are rows of a table between two others. */
  readonly action: "insert" | "update" | "delete" | "link" | "unlink";
  /** The entity; of `link` and `unlink` the owner's, with the relation: `Book.tags`. */
  readonly entity: string;
  /** The table. */
  readonly table: string;
  /** The objects, one for each row; of `link` and `unlink` the owners. */
  readonly objects: readonly object[];
  /** The columns that are written, by property; empty where rows go. */
  readonly columns: readonly string[];
  /** The texts of the statements that are sent. */
  readonly statements: readonly string[];
}

/** What a flush would do, in order. `String(preview)` tells it in words. */
export class FlushPreview {
  /** Step by step. */
  readonly steps: readonly PreviewStep[];

  /** Made by `session.preview()`. */
  constructor(steps: readonly PreviewStep[]) {
    this.steps = steps;
  }

  /** How many rows are written. */
  get rows(): number {
    return this.steps.reduce((sum, { objects }) => sum + objects.length, 0);
  }

  /** How many statements are sent. */
  get statements(): number {
    return this.steps.reduce((sum, { statements }) => sum + statements.length, 0);
  }

  /** One line for each step: `insert Author: 2 rows (name, email) in 1 statement`. */
  toString(): string {
    if (this.steps.length === 0) return "nothing to store";
    return this.steps.map(({ action, entity, objects, columns, statements }) =>
      `${action} ${entity}: ${counted(objects.length, "row")}${
        columns.length === 0 ? "" : ` (${columns.join(", ")})`
      } in ${counted(statements.length, "statement")}`
    ).join("\n");
  }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** Tells what a plan says. */
export function previewOf(plan: FlushPlan | undefined, dialect: Dialect): FlushPreview {
  if (plan === undefined) return new FlushPreview([]);
  const parted = members("unlink", plan.parted, dialect);
  const deletes = plan.deletes.flatMap((group) =>
    deleteParts(group[0]!.mapper).map((shape): PreviewStep => ({
      action: "delete",
      columns: [],
      ...common(group, shape.table),
      statements: texts(group, shape.keys.length, (keys) => dialect.deleteRows(shape, keys)),
    }))
  );
  const { releases, early, deletesFirst, updates } = plan.order;
  return new FlushPreview([
    ...groupUpdates(releases).flatMap((group) => updateSteps(group, dialect)),
    ...early.flatMap(groupUpdates).flatMap((group) => updateSteps(group, dialect)),
    ...(deletesFirst ? [...parted, ...deletes] : []),
    ...plan.inserts.flatMap(groupInserts).flatMap((group) =>
      insertParts(group).map(({ shape }): PreviewStep => ({
        action: "insert",
        columns: names(shape.columns),
        ...common(group, shape.table),
        statements: texts(group, shape.columns.length, (rows) => dialect.insertRows(shape, rows)),
      }))
    ),
    ...(deletesFirst ? [] : parted),
    ...updates.flatMap(groupUpdates).flatMap((group) => updateSteps(group, dialect)),
    ...members("link", plan.joined, dialect),
    ...(deletesFirst ? [] : deletes),
  ]);
}

function updateSteps(group: readonly Update[], dialect: Dialect): PreviewStep[] {
  return updateParts(group).map(({ shape }) => ({
    action: "update",
    columns: names(shape.columns),
    ...common(group, shape.table),
    statements: texts(
      group,
      shape.keys.length + shape.columns.length,
      (rows) => dialect.updateRows(shape, rows),
    ),
  }));
}

function members(
  action: "link" | "unlink",
  memberships: readonly Membership[],
  dialect: Dialect,
): PreviewStep[] {
  return groupMembers(memberships).map((group) => {
    const { relation, owner } = group[0]!;
    const join = action === "link" ? joinShape(relation, dialect.name).shape : undefined;
    const part = partShape(relation);
    return {
      action,
      entity: `${owner.constructor.name}.${relation.property}`,
      table: part.table.name,
      objects: group.map(({ owner }) => owner),
      columns: join === undefined ? [] : join.columns.map(({ name }) => name),
      statements: join === undefined
        ? texts(group, part.keys.length, (keys) => dialect.deleteRows(part, keys))
        : texts(group, join.columns.length, (rows) => dialect.insertRows(join, rows)),
    };
  });
}

function names(columns: readonly Column[]): string[] {
  return columns.map((column) => (column as Partial<MappedColumn>).property ?? column.name);
}

function common(
  group: readonly { readonly object: object; readonly mapper: { name: string } }[],
  table: Table,
): Pick<PreviewStep, "entity" | "table" | "objects"> {
  return {
    entity: group[0]!.mapper.name,
    table: table.name,
    objects: group.map(({ object }) => object),
  };
}

/** The texts depend on the rows' number and not on their values, of which some are not known yet. */
function texts(
  group: readonly unknown[],
  width: number,
  spell: (rows: readonly WireRow[]) => readonly RowsStatement[],
): string[] {
  const empty: WireRow = Array(width).fill(null);
  return spell(group.map(() => empty)).map(({ text }) => text);
}
