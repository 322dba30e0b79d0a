/**
 * The bulk calls of a session: each in one transaction, its own or the one that is open. What writes is
 * loaded by the first of them, inside its transaction, and so in the order of calls.
 *
 * @module
 */

import type { CallOptions } from "../../dialect/driver.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import type { SessionCore } from "../session_core.ts";
import { inTransaction } from "../transactions.ts";
import type { Inserted } from "./bulk_insert.ts";
import { BulkPlan, type BulkPlanInput } from "./bulk_plan.ts";
import { checkNames, type InsertOrder, insertOrder } from "./insert_order.ts";
import type { Source } from "./types.ts";
import type { BulkChannel } from "./writer.ts";
import { withoutPrototype } from "../../util/own.ts";

const CALL = ["signal", "timeout"];
const INSERT = [...CALL, "onConflict", "method", "returning"];
const UPSERT = [...CALL, "target", "update", "set", "returning"];

type Options = CallOptions & { readonly [name: string]: unknown };

/** Bulk calls for one session. */
export class BulkCalls {
  readonly #core: SessionCore;

  /** For the session of `core`. */
  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** See `AsyncSession.bulkInsert()`. */
  async insert(mapper: Mapper, rows: Source<object>, given: object): Promise<unknown> {
    const options = withoutPrototype(given);
    checkNames("bulkInsert()", options, INSERT);
    const { dialect } = this.#core.context;
    const order = insertOrder("bulkInsert()", mapper, rows, options, dialect);
    return await this.#insert("bulkInsert()", order, rows, options as Options);
  }

  /** See `AsyncSession.bulkUpsert()`. */
  async upsert(mapper: Mapper, rows: Source<object>, given: object): Promise<unknown> {
    const options = withoutPrototype(given);
    checkNames("bulkUpsert()", options, UPSERT);
    const { target, update, set, returning } = options as Options;
    const onConflict = {
      target: target ?? mapper.primaryKey.map(({ property }) => property),
      update: update ?? "given",
      set,
    };
    const { dialect } = this.#core.context;
    const order = insertOrder("bulkUpsert()", mapper, rows, { onConflict, returning }, dialect);
    return await this.#insert("bulkUpsert()", order, rows, options as Options);
  }

  async #insert(
    method: string,
    order: InsertOrder,
    rows: Source<object>,
    options: Options,
  ): Promise<unknown> {
    const { dialect } = this.#core.context;
    const inserted: Inserted = await this.#carryOut(
      method,
      options,
      async (channel) => {
        const { bulkInsert } = await import("./bulk_insert.ts");
        return await bulkInsert(order, rows, dialect, channel);
      },
    );
    return order.returning.length === 0 ? inserted.count : inserted.rows;
  }

  /** See `AsyncSession.bulkUpdate()`. */
  async update(mapper: Mapper, rows: Source<object>, options: object): Promise<number> {
    checkNames("bulkUpdate()", options, CALL);
    const { dialect } = this.#core.context;
    return await this.#carryOut(
      "bulkUpdate()",
      options,
      async (channel) => {
        const { bulkUpdate } = await import("./bulk_update.ts");
        return await bulkUpdate(mapper, rows, dialect, channel);
      },
    );
  }

  /** See `AsyncSession.bulkDelete()`. */
  async delete(mapper: Mapper, keys: Source<unknown>, options: object): Promise<number> {
    checkNames("bulkDelete()", options, CALL);
    const { dialect } = this.#core.context;
    return await this.#carryOut(
      "bulkDelete()",
      options,
      async (channel) => {
        const { bulkDelete } = await import("./bulk_update.ts");
        return await bulkDelete(mapper, keys, dialect, channel);
      },
    );
  }

  /** See `AsyncSession.bulkPlan()`. */
  plan(mapper: Mapper, input: BulkPlanInput, given: object): BulkPlan {
    const options = withoutPrototype(given);
    checkNames("bulkPlan()", options, INSERT);
    const { dialect } = this.#core.context;
    return new BulkPlan(insertOrder("bulkPlan()", mapper, [], options, dialect), input, dialect);
  }

  async #carryOut<T>(
    method: string,
    options: CallOptions,
    work: (channel: BulkChannel) => Promise<T>,
  ): Promise<T> {
    const core = this.#core;
    const call = core.limits(options);
    let sent = false;
    // Rows are gathered between the statements, so that the source may use this session meanwhile.
    const channel: BulkChannel = {
      call,
      exclusive: (work) => {
        sent = true;
        core.work.writes.noteOthers();
        return core.turnstile.run(work, call);
      },
    };
    if (core.transaction === undefined) {
      return await inTransaction(core, method, () => work(channel), call, false);
    }
    await core.turnstile.run(async (connection) => await core.autoflush(connection, call), call);
    try {
      return await work(channel);
    } catch (error) {
      // Some rows may be stored: what is left of the transaction must not be committed.
      if (sent) {
        await core.turnstile.run((connection) => Promise.resolve(connection.fail(error)));
      }
      throw error;
    }
  }
}
