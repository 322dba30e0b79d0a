/** Teaches the pool how connections are made, tested, cleaned and ended. */

import { ConnectError } from "../errors.ts";
import type { Driver, DriverConnection } from "../dialect/driver.ts";
import type { CreateContext, PoolResource } from "../pool/pool.ts";
import type { Emitter } from "./events.ts";
import { ROLLBACK_TIMEOUT } from "./link.ts";

/** The connections of one driver, as the pool sees them. */
export class DriverResource implements PoolResource<DriverConnection> {
  readonly noun = "connection";
  readonly #driver: Driver;
  readonly #connectTimeout: number;
  readonly #events: Emitter;

  constructor(driver: Driver, connectTimeout: number, events: Emitter) {
    this.#driver = driver;
    this.#connectTimeout = connectTimeout;
    this.#events = events;
  }

  async create({ signal, onLost }: CreateContext): Promise<DriverConnection> {
    const started = performance.now();
    const tell = (connection: string | undefined, error: unknown) =>
      this.#events.emit("connect", { connection, ms: performance.now() - started, error });
    let connection: DriverConnection;
    try {
      connection = await this.#driver.connect({ signal, timeout: this.#connectTimeout });
    } catch (error) {
      tell(undefined, error);
      throw error;
    }
    connection.onLost = (error) => {
      onLost();
      this.#events.emit("lost", { connection: connection.id, error });
    };
    tell(connection.id, undefined);
    return connection;
  }

  /** The server is starting up, full for the moment, or did not answer as one; not: a wrong password. */
  retryable(error: unknown): boolean {
    if (!(error instanceof ConnectError)) return false;
    return error.sqlState === "57P03" || error.code === "TOO_MANY_CONNECTIONS" ||
      error.code === "CONNECT_FAILED" && error.sqlState === undefined;
  }

  check(connection: DriverConnection): Promise<void> {
    return connection.ping();
  }

  reset(connection: DriverConnection): boolean | Promise<boolean> {
    if (!connection.busy && connection.transactionStatus === "idle") return true;
    return this.#clean(connection);
  }

  async #clean(connection: DriverConnection): Promise<boolean> {
    if (connection.busy) {
      // Something was not awaited. Where another connection can be made, this one is given up; a
      // database that lives in its only connection must not be.
      if (this.#driver.defaultPool !== "static") return false;
      await connection.ping();
    }
    await connection.rollback({ timeout: ROLLBACK_TIMEOUT });
    return !connection.busy && connection.transactionStatus === "idle";
  }

  destroy(connection: DriverConnection, force: boolean): Promise<void> | void {
    if (force || connection.lost) return connection.destroy();
    return connection.close();
  }

  isLost(connection: DriverConnection): boolean {
    return connection.lost !== undefined;
  }
}
