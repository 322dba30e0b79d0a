/**
 * How a session reads plain rows.
 *
 * @module
 */

import type { Dialect, PreparedStatement } from "../../dialect/dialect.ts";
import type {
  CallOptions,
  DriverColumn,
  DriverResult,
  DriverStatement,
} from "../../dialect/driver.ts";
import type { Connection } from "../../engine/connection.ts";
import type { Mapper } from "../../mapper/mapper.ts";
import type { EntityClass } from "../../mapper/types.ts";
import type { Node } from "../../sql/node.ts";
import type { WireRow } from "../../sql/wire.ts";
import type { SessionCore } from "../session_core.ts";
import { SessionStream } from "../session_stream.ts";
import type { RowLimits, RowRunner } from "./row_plan.ts";

/** Reads plain rows for one session. */
export class RowReader implements RowRunner {
  readonly #core: SessionCore;
  /** How SQL is spelt. */
  readonly dialect: Dialect;

  /** Reads for the session of `core`. */
  constructor(core: SessionCore) {
    this.#core = core;
    this.dialect = core.context.dialect;
  }

  /** All entities of the engine. */
  get registry(): object {
    return this.#core.context.registry;
  }

  /** The mapper of an entity class. */
  mapper(entityClass: EntityClass): Mapper {
    return this.#core.context.registry.mapper(entityClass);
  }

  /** Spells a statement. */
  compile(node: Node): PreparedStatement {
    return this.dialect.compile(node);
  }

  /** Runs a statement, after a flush where one is due. */
  run(statement: DriverStatement, limits: RowLimits): Promise<DriverResult> {
    const call = this.#begun(limits);
    return this.#core.turnstile.run(async (connection) => {
      await this.#core.autoflush(connection, call);
      return await connection.run(statement, call);
    }, call);
  }

  /** The rows of a statement, read in windows. */
  stream(
    statement: () => DriverStatement,
    plan: RowLimits & { readonly window: number },
    read: (rows: WireRow[], columns: readonly DriverColumn[]) => unknown[],
  ): AsyncIterableIterator<unknown> {
    const core = this.#core;
    const call = this.#begun(plan);
    let release: (() => Promise<void>) | undefined;
    let windows: ReturnType<Connection["windows"]> | undefined;
    const stream = new SessionStream({
      open: async () => {
        core.assertOpen();
        release = await core.turnstile.hold(call);
        core.streams.add(stream);
        await core.turnstile.run(async (connection) => {
          await core.autoflush(connection, call);
          windows = connection.windows(statement(), { ...call, window: plan.window });
        }, call);
      },
      next: () =>
        core.turnstile.run(async () => {
          const next = await windows!.next();
          return next.done ? [] : read(next.value.rows, next.value.columns) as object[];
        }, call),
      passed: () => {},
      close: async () => {
        core.streams.delete(stream);
        try {
          await core.turnstile.run(async () => void await windows?.return());
        } finally {
          await release?.();
        }
      },
    }, plan.window);
    return stream;
  }

  #begun(limits: RowLimits): CallOptions {
    this.#core.assertOpen();
    if (limits.locks === true) this.#core.assertLockable();
    return this.#core.limits({ signal: limits.signal, timeout: limits.timeout });
  }
}
