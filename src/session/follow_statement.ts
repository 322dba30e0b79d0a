/**
 * Of `update()`, `deleteFrom()` and an `insert()` that updates the session's objects of the classes
 * concerned are read again in the same round trip, so that they are what the database has.
 *
 * @module
 */

import type { CallOptions } from "../dialect/driver.ts";
import type { Connection } from "../engine/connection.ts";
import type { Result } from "../engine/result.ts";
import type { Executable } from "../engine/statement.ts";
import { hydrate } from "../loading/hydrate.ts";
import { selectAll } from "../loading/select.ts";
import { columnRef } from "../mapper/definition.ts";
import { Managed } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { ReferentialAction } from "../schema/column.ts";
import type { ForeignKey } from "../schema/table.ts";
import { allOf, anyOf, type Condition } from "../sql/expression.ts";
import { nodeIn, nodeOf, type SelectNode, type TableSource } from "../sql/node.ts";
import type { Committed } from "../unit_of_work/hooks.ts";
import { relatingKeys } from "../unit_of_work/references.ts";
import { followRows } from "../unit_of_work/statements.ts";
import type { SessionCore } from "./session_core.ts";

/** What a statement gave, and what hooks are to be told of. */
export interface Followed<Row> {
  /** What it gave. */
  readonly result: Result<Row>;
  /** What became of objects. */
  readonly changes: readonly Committed[];
}

/** What a statement may have changed. */
interface Touched {
  readonly mapper: Mapper;
  /** The columns that are written, by name; undefined where rows go. */
  readonly columns: ReadonlySet<string> | undefined;
}

/** Runs a statement, and lets the objects follow that the session has. */
export async function executeAndFollow<Row>(
  core: SessionCore,
  connection: Connection,
  statement: Executable<Row>,
  call: CallOptions,
): Promise<Followed<Row>> {
  const touched = touchedBy(statement, core);
  const { identityMap } = core.work;
  const held = touched.flatMap(({ mapper, columns }) => {
    const objects = [...identityMap.of(mapper).values()].filter(isStored);
    return objects.length === 0 ? [] : [{ mapper, columns, objects }];
  });
  const running = connection.execute(statement, call);
  if (held.length === 0) return { result: await running, changes: [] };
  const { dialect } = core.context;
  // In one tick with the statement, behind which they are carried out.
  const reading = Promise.all(
    held.map(async ({ mapper, objects }) => {
      const some = await Promise.all(
        selects(mapper, objects).map((select) => connection.run(dialect.compile(select), call)),
      );
      return some.flatMap(({ rows }) => rows);
    }),
  );
  // Nothing is under way any more when this is left.
  const [ran, read] = await Promise.allSettled([running, reading]);
  if (ran.status === "rejected") throw ran.reason;
  const result = ran.value;
  if (read.status === "rejected") {
    // The statement is done: what could not be read is read by the next `get()`.
    if (core.transaction !== undefined) throw read.reason;
    for (const { objects } of held) core.work.outdate(objects);
    return { result, changes: [] };
  }
  const rows = read.value;
  const target = { owner: core.owner, identityMap, dialect: dialect.name };
  const followers = held.map(({ mapper, columns, objects }, i) => ({
    mapper,
    objects,
    deferred: columns !== undefined &&
      mapper.columns.some(({ name, deferred }) => deferred && columns.has(name)),
    read: () => hydrate(mapper, rows[i]!, target),
  }));
  const changes = core.work.follow((where) => followRows(followers, where));
  return { result, changes };
}

function isStored(object: object): boolean {
  return Managed.stateOf(object)?.status === "persistent";
}

/** The classes whose rows a statement writes, and those whose rows foreign keys change with them. */
function touchedBy(statement: Executable<unknown>, { context }: SessionCore): readonly Touched[] {
  const node = nodeIn(statement);
  const { mappers } = context.registry;
  const rootOf = ({ schema, name }: TableSource) =>
    mappers.find(({ table }) => table.name === name && table.schema === schema)?.root;
  const first = (source: TableSource, columns: Touched["columns"]): Touched[] => {
    const mapper = rootOf(source);
    return mapper === undefined ? [] : withReferrers({ mapper, columns }, mappers);
  };
  switch (node?.kind) {
    case "update":
      return first(node.table, new Set(node.set.map(([{ name }]) => name)));
    case "delete":
      return first(node.table, undefined);
    case "insert": {
      const update = node.onConflict?.update ?? [];
      return update.length === 0 ? [] : first(node.into, new Set(update));
    }
    default:
      return [];
  }
}

function withReferrers(start: Touched, mappers: readonly Mapper[]): Touched[] {
  const touched = [start];
  for (const { mapper, columns } of touched) {
    for (const other of mappers) {
      if (other.root !== other) continue;
      for (const key of other.tables.flatMap(relatingKeys)) {
        if (!mapper.tables.some((table) => table === key.target)) continue;
        const next = consequence(key, columns);
        if (next === "nothing") continue;
        const known = touched.some((one) =>
          one.mapper === other && (one.columns === undefined) === (next === undefined)
        );
        if (!known) touched.push({ mapper: other, columns: next });
      }
    }
  }
  // One that loses rows and one whose rows are changed is read once.
  return touched.filter(({ mapper }, i) => touched.findIndex((one) => one.mapper === mapper) === i);
}

/** What becomes of the rows that refer: the columns written, undefined if they go, or nothing. */
function consequence(
  { columns, targetColumns, onDelete, onUpdate }: ForeignKey,
  written: Touched["columns"],
): Touched["columns"] | "nothing" {
  const acts = (action: ReferentialAction | undefined) =>
    action === "cascade" || action === "set null" || action === "set default";
  if (written === undefined) {
    if (!acts(onDelete)) return "nothing";
    return onDelete === "cascade" ? undefined : new Set(columns.map(({ name }) => name));
  }
  if (!acts(onUpdate) || !targetColumns.some(({ name }) => written.has(name))) return "nothing";
  return new Set(columns.map(({ name }) => name));
}

/** Keys of more than one column are compared one by one, so many in a statement. */
const CHUNK = 1_000;

function selects(mapper: Mapper, objects: readonly object[]): SelectNode[] {
  const columns = mapper.primaryKey.map(({ defined }) => columnRef(defined, mapper.source));
  const keys = objects.map((object) => {
    const { row, shape } = Managed.stateOf(object)!;
    return shape!.keyIndexes.map((i) => shape!.codecs[i]!.decode(row![i]!));
  });
  const where: Condition[] = [];
  if (columns.length === 1) where.push(columns[0]!.in(keys.map(([value]) => value as string)));
  else {
    for (let at = 0; at < keys.length; at += CHUNK) {
      where.push(anyOf(
        ...keys.slice(at, at + CHUNK).map((key) =>
          allOf(...key.map((value, i) => columns[i]!.eq(value as string)))
        ),
      ));
    }
  }
  return where.map((condition) => ({
    ...selectAll(mapper),
    where: condition[nodeOf],
    // An object is known by its key, whatever the filters say.
    unfiltered: mapper.source.filters?.map(({ name }) => name),
  }));
}
