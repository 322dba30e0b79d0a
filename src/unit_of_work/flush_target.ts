/** What a flush works on. @module */

import type { Dialect } from "../dialect/dialect.ts";
import type { CallOptions, DriverResult, DriverStatement } from "../dialect/driver.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { IdentityMap } from "./identity_map.ts";
import type { Journal } from "./journal.ts";

/** What a flush needs of a connection: statements are carried out in call order. */
export interface StatementRunner {
  /** Runs one statement. */
  run(statement: DriverStatement, call?: CallOptions): Promise<DriverResult>;
}

/** What a flush works on. */
export interface FlushTarget {
  /** The connection, inside a transaction. */
  readonly connection: StatementRunner;
  /** The database's spelling. */
  readonly dialect: Dialect;
  /** All mappers: rows that refer to others. */
  readonly mappers: readonly Mapper[];
  /** Where new objects are entered. */
  readonly identityMap: IdentityMap;
  /** Where a rollback finds what to put back. */
  readonly journal: Journal;
  /** Signal and limit of each statement. */
  readonly call: CallOptions;
}
