/**
 * `session.execute()`: a statement in its turn.
 *
 * @module
 */

import type { CallOptions } from "../dialect/driver.ts";
import type { Result } from "../engine/result.ts";
import type { Executable } from "../engine/statement.ts";
import type { Followed } from "./follow_statement.ts";
import { executeReading } from "./read_only.ts";
import type { SessionCore } from "./session_core.ts";

/** How a statement is run. */
export interface ExecuteOptions extends CallOptions {
  /**
   * What an `update()`, a `deleteFrom()` or an `insert()` that updates did is seen in the objects of
   * this session: these are read again, in the same round trip. Default true; false leaves them as they
   * are.
   */
  synchronize?: boolean | undefined;
}

/** Runs a statement in its turn, inside a transaction after a flush, and lets objects follow. */
export async function executeStatement<Row>(
  core: SessionCore,
  statement: Executable<Row>,
  options: ExecuteOptions,
): Promise<Result<Row>> {
  const call = core.limits(options);
  const { result, changes } = await core.turnstile.run(
    async (connection): Promise<Followed<Row>> => {
      await core.autoflush(connection, call);
      if (core.options.readOnly) {
        const { dialect } = core.context;
        return { result: await executeReading(connection, dialect, statement, call), changes: [] };
      }
      core.work.writes.noteOthers();
      // Rows of a bulk call's transaction are none of the objects' business.
      const tracked = core.transaction?.tracks !== false;
      if (options.synchronize === false || !tracked || core.work.identityMap.size === 0) {
        return { result: await connection.execute(statement, call), changes: [] };
      }
      // Loaded where there are objects that could follow
      const { executeAndFollow } = await import("./follow_statement.ts");
      return await executeAndFollow(core, connection, statement, call);
    },
    call,
  );
  if (changes.length > 0) await core.work.hooks.committed(changes);
  return result;
}
