/**
 * `createAll` and `dropAll`: the tables of an engine's entities, made and dropped as a whole.
 *
 * @module
 */

import type { Connection } from "../engine/connection.ts";
import type { Table } from "../schema/table.ts";
import { topologicalSort } from "../util/topological_sort.ts";
import type { AsyncEngine } from "./async_engine.ts";

/**
 * Creates the tables of all entities that do not exist yet, with their keys, indexes and
 * constraints, in one transaction. Tables that exist are left as they are.
 *
 * @example
 * ```ts
 * import { AsyncEngine, createAll, dropAll, entity, integer } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Point extends entity("points", { id: integer().primaryKey(), x: integer() }) {}
 * await using engine = new AsyncEngine("sqlite::memory:", { entities: [Point] });
 * await createAll(engine);
 * assertEquals(await engine.session().query(Point).count(), 0);
 * await dropAll(engine);
 * ```
 */
export async function createAll(engine: AsyncEngine): Promise<void> {
  const { dialect } = engine;
  const rings = inOrder(engine.registry.tables);
  await using connection = await engine.connect();
  await connection.begin(async () => {
    const created: { table: Table; later: readonly Table[] }[] = [];
    for (const ring of rings) {
      for (const [i, table] of ring.entries()) {
        const { rows } = await connection.run(dialect.tableExists(table));
        if (rows[0]?.[0] === null || rows.length === 0) {
          // Inside a ring, keys to tables that come later are added when these are there.
          const later = ring.slice(i + 1);
          await runAll(connection, dialect.createTable(table, later));
          created.push({ table, later });
        }
      }
    }
    for (const { table, later } of created) {
      await runAll(connection, dialect.addForeignKeys(table, later));
    }
  });
}

/** Drops the tables of all entities, with everything in them, in one transaction. */
export async function dropAll(engine: AsyncEngine): Promise<void> {
  const { dialect } = engine;
  const tables = inOrder(engine.registry.tables).flat().reverse();
  await using connection = await engine.connect();
  await connection.begin(async () => {
    for (const table of tables) await runAll(connection, dialect.dropTable(table));
    for (const table of tables) await runAll(connection, dialect.dropTypes(table));
  });
}

async function runAll(connection: Connection, texts: readonly string[]): Promise<void> {
  for (const text of texts) await connection.run({ text, params: [], prepare: false });
}

/** Tables after those they refer to; rings of tables together. */
function inOrder(tables: readonly Table[]): Table[][] {
  return topologicalSort(tables, (table) => table.foreignKeys.map((key) => key.target));
}
