/**
 * Named checkpoints: how far walks have come, in a table of ours in the same database, so that a
 * batch and the note of it are committed together or not at all.
 *
 * @module
 */

import { DatabaseError, UsageError } from "../../errors.ts";
import type { Dialect } from "../../dialect/dialect.ts";
import type { CallOptions, DriverResult, DriverStatement } from "../../dialect/driver.ts";
import { entity } from "../../mapper/define.ts";
import { Registry } from "../../mapper/registry.ts";
import { boolean, integer, text } from "../../schema/column.ts";
import { nodeOf } from "../../sql/node.ts";
import { type Sql, sql } from "../../sql/raw.ts";

/** One named checkpoint. */
class Checkpoint extends entity("sluice_checkpoints", {
  name: text().primaryKey(),
  position: text().nullable(),
  rows: integer(),
  batches: integer(),
  /** Raised by every write: two walks with one name notice each other. */
  revision: integer(),
  finished: boolean(),
  updatedAt: text(),
}) {}

/** Runs a statement outside of any transaction. */
export type Run = (statement: DriverStatement, call?: CallOptions) => Promise<DriverResult>;

/** One named checkpoint, as a walk uses it. */
export class NamedCheckpoint {
  readonly #name: string;
  readonly #dialect: Dialect;
  #revision = 0;

  /** The one of that name, which has been checked. */
  constructor(name: string, dialect: Dialect) {
    this.#name = name;
    this.#dialect = dialect;
  }

  /** Makes the table and the row if need be, and gives what the row says. */
  async load(
    run: Run,
    restart: boolean,
  ): Promise<{ position: string | undefined; finished: boolean }> {
    await this.#makeTable(run);
    await run(this.#compile(sql`
      insert into ${Checkpoint} (name, position, rows, batches, revision, finished, updated_at)
      values (${this.#name}, null, 0, 0, 0, false, ${now()}) on conflict (name) do nothing`));
    if (restart) {
      await run(this.#compile(sql`
        update ${Checkpoint} set position = null, rows = 0, batches = 0, finished = false,
          revision = revision + 1, updated_at = ${now()} where name = ${this.#name}`));
    }
    const { rows: [row] } = await run(this.#compile(sql`
      select position, revision, case when finished then 1 else 0 end
      from ${Checkpoint} where name = ${this.#name}`));
    this.#revision = Number(row![1]);
    return { position: row![0] as string | null ?? undefined, finished: Number(row![2]) === 1 };
  }

  /**
   * Writes, in the transaction of a batch, where the walk stands after it. Call `written()` once that
   * is committed.
   *
   * @throws {UsageError} when somebody else has written it.
   */
  async write(run: Run, position: string, rows: number): Promise<void> {
    const { rowCount } = await run(this.#compile(sql`
      update ${Checkpoint} set position = ${position}, rows = rows + ${rows},
        batches = batches + 1, revision = revision + 1, updated_at = ${now()}
      where name = ${this.#name} and revision = ${this.#revision}`));
    this.#assertOwn(rowCount);
  }

  /** What was written last is committed. */
  written(): void {
    this.#revision++;
  }

  /** Notes that the walk has come to its end. */
  async finish(run: Run): Promise<void> {
    const { rowCount } = await run(this.#compile(sql`
      update ${Checkpoint} set finished = true, revision = revision + 1, updated_at = ${now()}
      where name = ${this.#name} and revision = ${this.#revision}`));
    this.#assertOwn(rowCount);
  }

  #assertOwn(rowCount: number): void {
    if (rowCount === 1) return;
    throw new UsageError(`Another walk uses the checkpoint "${this.#name}" at the same time`, {
      hint: "One program at a time can walk with it; see the table sluice_checkpoints",
    });
  }

  async #makeTable(run: Run): Promise<void> {
    const { table } = new Registry([Checkpoint]).mappers[0]!;
    const { rows } = await run(this.#dialect.tableExists(table));
    if (rows.length > 0 && rows[0]![0] !== null) return;
    try {
      for (const ddl of this.#dialect.createTable(table, [])) {
        await run({ text: ddl, params: [], prepare: false });
      }
    } catch (error) {
      // Somebody else made it in the meantime: PostgreSQL tells in either of two ways.
      const exists = error instanceof DatabaseError &&
        (error.sqlState === "42P07" || error.sqlState === "23505" ||
          /already exists/.test(error.message));
      if (!exists) throw error;
    }
  }

  #compile(statement: Sql<unknown>): DriverStatement {
    return this.#dialect.compile(statement[nodeOf]);
  }
}

function now(): string {
  return new Date().toISOString();
}
