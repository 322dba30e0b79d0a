/**
 * Carries a flush plan out: same-shaped rows as one statement, what does not depend on each other
 * sent together, generated values taken back.
 *
 * @module
 */

import { StaleDataError, UniqueViolationError } from "../errors.ts";
import type { DeleteShape, Dialect } from "../dialect/dialect.ts";
import type { CallOptions, DriverResult, DriverStatement } from "../dialect/driver.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { IdentityKey, RowShape } from "../mapper/row_shape.ts";
import type { WireRow, WireValue } from "../sql/wire.ts";
import { followKeys, type KeyChange, keyChanges } from "./consequences.ts";
import { type FlushPlan, guardedKeyOf } from "./flush_plan.ts";
import {
  compareKeys,
  deleteParts,
  groupInserts,
  groupUpdates,
  type InsertPart,
  insertParts,
  updateParts,
} from "./flush_shapes.ts";
import { type Delete, type Insert, link, type Update } from "./flush_steps.ts";
import type { FlushTarget, StatementRunner } from "./flush_target.ts";
import { stateOf } from "./journal.ts";
import { joinMembers, partMembers } from "./membership.ts";
import type { Names } from "./names.ts";
import { keepRelated, keepRelations } from "./picture.ts";
import type { WriteOrder } from "./write_order.ts";
import { advance } from "./states.ts";
import { settle } from "../util/settle.ts";

/** Carries the plan out. */
export async function flush(plan: FlushPlan, target: FlushTarget): Promise<void> {
  const { releases, early, updates, deletesFirst, exchanged } = plan.order;
  const changes = keyChanges(plan);
  if (releases.length > 0) {
    await settle(groupUpdates(releases).map((group) => releaseGroup(group, target)));
  }
  if (early.length > 0 || deletesFirst) {
    const before = updateRounds(early, exchanged, target);
    await (deletesFirst ? settleWithDeletes(before, plan, target) : settle(before));
  }
  for (const layer of plan.inserts) {
    layer.forEach(fillKeys);
    await settle(groupInserts(layer).map((group) => insertGroup(group, target)));
  }
  // Most often, new rows are all there is.
  if (updates.length + plan.deletes.length + plan.joined.length + plan.parted.length > 0) {
    await flushOthers(plan, changes, target);
  }
  keepRelations(plan.relations, target.journal);
  plan.newRelations.forEach(keepRelated);
  if (changes.length > 0) followKeys(changes, plan, target);
}

/** What comes after the new rows. */
async function flushOthers(
  plan: FlushPlan,
  changes: readonly KeyChange[],
  target: FlushTarget,
): Promise<void> {
  const { updates, deletesFirst, exchanged } = plan.order;
  for (const round of updates) for (const update of round) completeUpdate(update);
  const parted = deletesFirst ? [] : partMembers(plan.parted, target);
  const last = [...parted, ...updateRounds(updates, exchanged, target)];
  // Links are made of keys as they are then.
  if (changes.some(({ after, first }) => after !== undefined && !first)) {
    await settle(last.splice(0));
  }
  last.push(...joinMembers(plan.joined, target));
  await (deletesFirst ? settle(last) : settleWithDeletes(last, plan, target));
}

async function settleWithDeletes(
  before: Promise<void>[],
  { deletes, parted, order }: FlushPlan,
  target: FlushTarget,
): Promise<void> {
  // What the database gives a row that lets go of another comes back first: its delete asks for it.
  if (deletes.some(([row]) => row!.mapper.versionGenerated)) await settle(before.splice(0));
  await settle([
    ...before,
    ...(order.deletesFirst ? partMembers(parted, target) : []),
    ...deletes.map((group) => deleteGroup(group, target)),
  ]);
}

/** Takes the keys of parents that have been inserted by now. */
function fillKeys({ row, pendingKeys }: Insert | Update): void {
  for (const { index, parent, parentIndex } of pendingKeys) {
    row[index] = stateOf(parent).row![parentIndex]!;
  }
}

async function insertGroup(group: readonly Insert[], target: FlushTarget): Promise<void> {
  const parts = insertParts(group);
  const [base, ...others] = parts as readonly [InsertPart, ...InsertPart[]];
  await insertPart(base, group, target);
  // The tables of a joined subclass take the key that the base's row was given.
  if (others.length > 0) await settle(others.map((part) => insertPart(part, group, target)));
  const returned = others.length === 0 ? base.returned : parts.flatMap(({ returned }) => returned);
  const { mapper } = group[0]!;
  const { dialect } = target;
  const shape = mapper.shape(dialect.name);
  const map = target.identityMap.of(mapper);
  group.forEach((insert) => inserted(insert, returned, shape, map));
  if (!mapper.versionGenerated || dialect.readRows === undefined) return;
  const versions = await readVersions(
    mapper,
    group.map(({ object }) => stateOf(object).row!),
    [],
    target,
  );
  for (const { object, row } of group) {
    const { versionIndex } = mapper;
    row[versionIndex] = versions.get(stateOf(object).key!);
    give(object, shape, versionIndex, row[versionIndex]!, undefined);
  }
}

async function insertPart(
  { shape, given, returned }: InsertPart,
  group: readonly Insert[],
  target: FlushTarget,
): Promise<void> {
  const { dialect, connection } = target;
  // What is given of them has a value by now.
  const rows = group.map(({ row }) => row as WireRow);
  const statements = dialect.insertRows(shape, rows, given);
  const results = await runAll(connection, statements, target.call);
  if (returned.length === 0) return;
  let at = 0;
  results.forEach((result, s) => {
    const expected = statements[s]!.rows;
    for (let i = 0; i < expected; i++) {
      const { row } = group[at + i]!;
      const values = result.rows[i] ?? [];
      for (let v = 0; v < returned.length; v++) row[returned[v]!] = values[v];
    }
    at += expected;
  });
}

/** The versions that the database has given to rows, by their identity. */
async function readVersions(
  mapper: Mapper,
  rows: readonly WireRow[],
  results: readonly DriverResult[],
  { dialect, connection, call }: FlushTarget,
): Promise<Map<IdentityKey, WireValue>> {
  const { table, primaryKey, columns, versionIndex } = mapper;
  const { keyIndexes } = mapper.shape(dialect.name);
  let told = results;
  if (dialect.readRows !== undefined) {
    const shape = { table, keys: primaryKey, returning: [...primaryKey, columns[versionIndex]!] };
    const keys = rows.map((row) => keyIndexes.map((i) => row[i]!));
    told = await runAll(connection, dialect.readRows(shape, keys), call);
  }
  return new Map(
    told.flatMap(({ rows }) =>
      rows.map((row) => [mapper.identityOf(row, dialect.name), row[primaryKey.length]!] as const)
    ),
  );
}

function runAll(
  connection: StatementRunner,
  statements: readonly DriverStatement[],
  call: CallOptions,
): Promise<DriverResult[]> {
  // In one tick, so that the driver can send them together; the connection keeps their order.
  return Promise.all(statements.map((statement) => connection.run(statement, call)));
}

/** The object is persistent now, with what was written and given back as its snapshot. */
function inserted(
  insert: Insert,
  returned: readonly number[],
  shape: RowShape,
  map: Map<IdentityKey, object>,
): void {
  const { object, linked } = insert;
  const row = insert.row as WireRow;
  const state = stateOf(object);
  const noted = insert.note ?? insert;
  for (const index of returned) give(object, shape, index, row[index]!, noted);
  for (const index of linked) give(object, shape, index, row[index]!, noted);
  state.row = row;
  state.shape = shape;
  state.key = shape.keyOf(row);
  advance(object, state, "insert");
  map.set(state.key, object);
  if (insert.open) normalise(object, shape, row);
}

/** A nullable key that was left open is null in the row, and so in the object. */
function normalise(object: object, { columns }: RowShape, row: WireRow): void {
  const properties = object as Record<string, unknown>;
  for (let i = 0; i < row.length; i++) {
    if (row[i] !== null) continue;
    const { property } = columns[i]!;
    if (properties[property] === undefined) properties[property] = null;
  }
}

/** Gives a property the value that its column has now, and notes it if it had none. */
function give(
  object: object,
  { columns, codecs }: RowShape,
  index: number,
  wire: WireValue,
  noted: { given: Names } | undefined,
): void {
  const properties = object as Record<string, unknown>;
  const { property, group } = columns[index]!;
  // What was not loaded cannot be asked for.
  const has = Object.hasOwn(object, group?.property ?? property) &&
    properties[property] !== undefined;
  if (!has && noted !== undefined) noted.given = noted.given.with(property);
  properties[property] = wire === null ? null : codecs[index]!.decode(wire);
}

/** An update that a ring of inserts left behind gets its row and key now. */
function completeUpdate(update: Update): void {
  const state = stateOf(update.object);
  if (update.row.length === 0) {
    update.row.push(...state.row!);
    (update.key as WireRow).push(...guardedKeyOf(state));
  }
  fillKeys(update);
}

/** Sent in order, which is all that a round has to wait for. */
function updateRounds(
  rounds: WriteOrder["updates"],
  exchanged: WriteOrder["exchanged"],
  target: FlushTarget,
): Promise<void>[] {
  return rounds.flatMap(groupUpdates).map(async (group) => {
    try {
      await updateGroup(group, target);
    } catch (error) {
      const some = group.filter((update) => exchanged.has(update));
      throw some.length > 0 && error instanceof UniqueViolationError
        ? exchangeRefused(some, error)
        : error;
    }
  });
}

function exchangeRefused(
  group: readonly Update[],
  error: UniqueViolationError,
): UniqueViolationError {
  const { sqlState, constraint, table, column, detail, statement, position } = error;
  const names = group.slice(0, 5).map(({ mapper, object }) => mapper.describe(object));
  return new UniqueViolationError(
    `${names.join("; ")}${
      group.length > 5 ? "; …" : ""
    } exchange values of which each can be there ` +
      "once only and none can be null, and the database checks them row by row",
    {
      ...{ sqlState, constraint, table, column, detail, statement, position },
      hint: "Give one of them a free value in a flush before, or make the constraint deferrable",
      cause: error,
    },
  );
}

/** Sets values to null that other rows take before theirs are written. */
async function releaseGroup(group: readonly Update[], target: FlushTarget): Promise<void> {
  const results = await sendUpdates(group, target, ({ object }) => stateOf(object).key!);
  const { mapper } = group[0]!;
  if (!mapper.versionGenerated) return;
  const versions = await readVersions(mapper, group.map(({ row }) => row), results, target);
  // Shared with the update that follows.
  for (const { key, object } of group) key[key.length - 1] = versions.get(stateOf(object).key!)!;
}

async function updateGroup(group: readonly Update[], target: FlushTarget): Promise<void> {
  const results = await sendUpdates(
    group,
    target,
    ({ object, row }) => stateOf(object).shape!.keyOf(row),
  );
  const { mapper } = group[0]!;
  if (mapper.versionGenerated) {
    const versions = await readVersions(mapper, group.map(({ row }) => row), results, target);
    for (const { row, object } of group) {
      row[mapper.versionIndex] = versions.get(stateOf(object).shape!.keyOf(row))!;
    }
    for (const update of group) link(update, mapper.versionIndex);
  }
  group.forEach((update) => updated(update, target));
}

/** Sends the statements for all tables in one tick, the base's first; gives the results of the first. */
async function sendUpdates(
  group: readonly Update[],
  { dialect, connection, call }: FlushTarget,
  identityOf: (update: Update) => IdentityKey,
): Promise<readonly DriverResult[]> {
  const [first = []] = await Promise.all(
    updateParts(group).map(async ({ shape, given, keyOf }) => {
      const rows = group.map((update) => {
        const key = keyOf(update);
        const row = new Array<WireValue>(key.length + given.length);
        for (let i = 0; i < key.length; i++) row[i] = key[i]!;
        for (let i = 0; i < given.length; i++) row[key.length + i] = update.row[given[i]!]!;
        return row;
      });
      const results = await runAll(connection, dialect.updateRows(shape, rows), call);
      checkAll("updated", group, results, shape, dialect, identityOf);
      return results;
    }),
  );
  return first;
}

function updated(update: Update, { journal, identityMap }: FlushTarget): void {
  const { object, mapper, row, changed, linked } = update;
  const state = stateOf(object);
  const shape = state.shape!;
  const note = journal.note(object, state);
  note.updated = true;
  for (const index of linked) give(object, shape, index, row[index]!, note);
  const key = shape.keyOf(row);
  if (key !== state.key) {
    identityMap.forget(object, mapper, state.key);
    identityMap.of(mapper).set(key, object);
    state.key = key;
  }
  state.row = row;
  dropStaleRelations(object, mapper, changed, state.related);
}

/** A key that was changed by hand leaves the relation it belongs to unloaded. */
function dropStaleRelations(
  object: object,
  mapper: Mapper,
  changed: readonly number[],
  related: ReadonlyMap<string, unknown> | undefined,
): void {
  if (related === undefined) return;
  for (const relation of mapper.relationList) {
    if (relation.kind !== "belongsTo" || !Object.hasOwn(object, relation.property)) continue;
    const { localColumns, targetColumns, property } = relation;
    const touched = localColumns.some((column) => changed.includes(mapper.columns.indexOf(column)));
    if (!touched) continue;
    const own = object as Record<string, unknown>;
    const parent = own[property] as Record<string, unknown> | null;
    const fits = localColumns.every((column, i) =>
      own[column.property] === (parent === null ? null : parent[targetColumns[i]!.property])
    );
    if (
      !fits && !(parent === null && localColumns.some((column) => own[column.property] === null))
    ) {
      delete own[property];
    }
  }
}

async function deleteGroup(group: readonly Delete[], target: FlushTarget): Promise<void> {
  const { mapper } = group[0]!;
  const keys = group.map(({ key, object }) =>
    mapper.versionGenerated ? guardedKeyOf(stateOf(object)) : key
  ).sort(compareKeys);
  const shapes = deleteParts(mapper);
  // In one tick, the base's table last: its rows tell whether all were there.
  const results = await Promise.all(shapes.map((shape) => {
    const own = shapes.length === 1 ? keys : keys.map((key) => key.slice(0, shape.keys.length));
    const statements = target.dialect.deleteRows(shape, own);
    return runAll(target.connection, statements, target.call);
  }));
  const identityOf = ({ object }: Delete) => stateOf(object).key!;
  checkAll("deleted", group, results.at(-1)!, shapes.at(-1)!, target.dialect, identityOf);
  for (const { object } of group) {
    const state = stateOf(object);
    target.journal.note(object, state);
    target.identityMap.forget(object, mapper, state.key);
    advance(object, state, "remove");
  }
}

/** All rows were there, as they had been loaded. */
function checkAll<T extends { readonly mapper: Mapper; readonly object: object }>(
  verb: string,
  group: readonly T[],
  results: readonly DriverResult[],
  { returning }: DeleteShape,
  dialect: Dialect,
  identityOf: (item: T) => IdentityKey,
): void {
  const count = results.reduce((sum, result) => sum + result.rowCount, 0);
  if (count === group.length) return;
  const { mapper } = group[0]!;
  const { versionIndex } = mapper;
  const versioned = returning !== undefined;
  let concerned = group;
  if (versioned) {
    const found = new Set(
      results.flatMap(({ rows }) => rows.map((row) => mapper.identityOf(row, dialect.name))),
    );
    concerned = group.filter((item) => !found.has(identityOf(item)));
  }
  const names = concerned.slice(0, 5).map(({ object }) => {
    const { row, shape } = stateOf(object);
    const name = mapper.describe(object);
    if (!versioned) return name;
    const version = shape!.codecs[versionIndex]!.decode(row![versionIndex]!);
    return `${name} (version ${version instanceof Date ? version.toISOString() : version})`;
  });
  throw new StaleDataError(
    `${group.length} ${
      group.length === 1 ? "row" : "rows"
    } of ${mapper.name} were to be ${verb}, ` +
      `and ${count} were: ${versioned ? "not " : ""}${names.join("; ")}${
        concerned.length > 5 ? "; …" : ""
      }`,
    {
      hint: versioned
        ? "Somebody else changed or deleted them meanwhile; load them again"
        : "Somebody else deleted the others meanwhile; load the objects again",
    },
  );
}
