/**
 * Gathers rows and sends them in large statements. While one chunk is under way the next one is
 * gathered, and never more, so memory stays the same whatever the length of the source.
 *
 * @module
 */

import type { CopyShape, RowsStatement } from "../../dialect/dialect.ts";
import type { CallOptions } from "../../dialect/driver.ts";
import type { Connection } from "../../engine/connection.ts";
import { DatabaseError } from "../../errors.ts";
import type { WireRow } from "../../sql/wire.ts";
import { findBadRow, guarded, namesNoCopy, rowError } from "./bad_row.ts";
import { type BulkShape, CHUNK } from "./insert_order.ts";

/** The session, for statements. */
export interface BulkChannel {
  /** Does a piece of work alone on the session's connection, inside the transaction. */
  exclusive<T>(work: (connection: Connection) => Promise<T>): Promise<T>;
  /** The limits of each statement. */
  readonly call: CallOptions;
}

/** What a writer is made for. */
export interface BulkTask {
  /** `inserted`, `updated`, `deleted`: for messages. */
  readonly verb: string;
  /** By the key that `add()` was given. */
  shape(key: string): BulkShape;
  /** Rows come back, and which row of the source each belongs to is told by their order alone. */
  readonly inRuns: boolean;
  /** Takes rows that came back, with the rows that were sent and their indexes. */
  returned(rows: readonly WireRow[], indexes: readonly number[], sent: SentRows): void;
}

/** The rows of one statement. */
export interface SentRows {
  /** Their shape, by the key that `add()` was given. */
  readonly key: string;
  /** The rows, as given to `add()`. */
  readonly rows: readonly WireRow[];
}

interface Group {
  readonly key: string;
  readonly rows: WireRow[];
  readonly indexes: number[];
}

/** Sends the rows of one bulk call. */
export class BulkWriter {
  readonly #task: BulkTask;
  readonly #channel: BulkChannel;
  readonly #shapes = new Map<string, BulkShape>();
  /** Rows by shape: usually one group. */
  #gathered = new Map<string, Group>();
  /** What identifies the gathered rows, where no row may come twice in a statement. */
  #identities = new Set<string>();
  #waiting = 0;
  #index = 0;
  #count = 0;
  #underWay: Promise<void> = Promise.resolve();
  #abandoned = false;
  #copies = true;
  /** A statement was sent. */
  started = false;

  /** Sends nothing yet. */
  constructor(task: BulkTask, channel: BulkChannel) {
    this.#task = task;
    this.#channel = channel;
  }

  /** The index of the row that comes next. */
  get index(): number {
    return this.#index;
  }

  /** Rows stored so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Takes a row; gives a promise when its sender has to wait.
   *
   * @param identity A row with the same one is in force before this one: they go one after the other.
   */
  add(key: string, row: WireRow, identity?: string): Promise<void> | undefined {
    const again = identity !== undefined && this.#identities.has(identity);
    const turn = this.#task.inRuns && this.#waiting > 0 && !this.#gathered.has(key);
    const wait = again || turn ? this.#send() : undefined;
    if (identity !== undefined) this.#identities.add(identity);
    const group = this.#gathered.get(key);
    if (group === undefined) {
      this.#gathered.set(key, { key, rows: [row], indexes: [this.#index] });
    } else {
      group.rows.push(row);
      group.indexes.push(this.#index);
    }
    this.#index++;
    if (++this.#waiting < CHUNK) return wait;
    return this.#send();
  }

  /** Takes the gathered rows at once, and sends them when what was sent before has arrived. */
  #send(): Promise<void> {
    const groups = this.#gathered;
    const before = this.#underWay;
    this.#gathered = new Map();
    this.#identities = new Set();
    this.#waiting = 0;
    const work = before.then(() => this.#carryOut([...groups.values()]));
    // Awaited later; caught here so that it cannot go unhandled until then.
    work.catch(() => {});
    this.#underWay = work;
    return before;
  }

  /** Sends the rest; gives the number of rows stored. */
  async finish(): Promise<number> {
    await this.#send();
    await this.#underWay;
    return this.#count;
  }

  /**
   * Sends nothing more, and waits for what is under way. What failed there came first, and is the
   * error to throw.
   */
  async abandon(error: unknown): Promise<unknown> {
    this.#abandoned = true;
    return await this.#underWay.then(() => error, (earlier) => earlier);
  }

  async #carryOut(groups: readonly Group[]): Promise<void> {
    for (const group of groups) {
      if (this.#abandoned) return;
      this.started = true;
      await this.#channel.exclusive((connection) => this.#sendGroup(connection, group));
    }
  }

  async #sendGroup(connection: Connection, group: Group): Promise<void> {
    const { rows, indexes } = group;
    const shape = this.#shapeOf(group.key);
    const copy = this.#copies ? shape.copy(rows.length) : undefined;
    if (copy !== undefined && await this.#copy(connection, copy, group)) return;
    let at = 0;
    let counts = true;
    for (const statement of allStatements(shape, rows)) {
      if (at === rows.length) {
        // The same rows again, in another table.
        at = 0;
        counts = false;
      }
      const sent = rows.slice(at, at + statement.rows);
      const sentIndexes = indexes.slice(at, at + statement.rows);
      const result = await guarded(
        connection,
        sent.length > 1,
        () => connection.run(statement, this.#channel.call),
      ).catch(async (error) => {
        const attempt = (part: readonly WireRow[]) => this.#attempt(connection, shape, part);
        throw await findBadRow(error, sent, sentIndexes, this.#task.verb, attempt);
      });
      if (counts) {
        this.#count += result.rowCount;
        this.#task.returned(result.rows, sentIndexes, { key: group.key, rows: sent });
      }
      at += statement.rows;
    }
  }

  /** False where COPY cannot write to the table, and an INSERT may. */
  async #copy(connection: Connection, copy: CopyShape, group: Group): Promise<boolean> {
    const { rows, indexes } = group;
    try {
      this.#count += await guarded(
        connection,
        true,
        () => connection.copyIn(copy.text, [copy.encode(rows)], this.#channel.call),
      );
      return true;
    } catch (error) {
      if (namesNoCopy(error)) return this.#copies = false;
      const line = error instanceof DatabaseError ? error.line : undefined;
      const index = line === undefined ? undefined : indexes[line - 1];
      throw index === undefined ? error : rowError(error as DatabaseError, index, this.#task.verb);
    }
  }

  async #attempt(
    connection: Connection,
    shape: BulkShape,
    rows: readonly WireRow[],
  ): Promise<void> {
    await guarded(connection, true, async () => {
      for (const statement of allStatements(shape, rows)) {
        await connection.run(statement, this.#channel.call);
      }
    });
  }

  #shapeOf(key: string): BulkShape {
    let shape = this.#shapes.get(key);
    if (shape === undefined) this.#shapes.set(key, shape = this.#task.shape(key));
    return shape;
  }
}

function allStatements(shape: BulkShape, rows: readonly WireRow[]): readonly RowsStatement[] {
  const statements = shape.statements(rows);
  return shape.elsewhere === undefined ? statements : [...statements, ...shape.elsewhere(rows)];
}
