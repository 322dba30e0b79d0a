import type { Dialect } from "./dialect.ts";
import type { DialectName } from "./driver.ts";
import { postgresDialect } from "./postgres/dialect.ts";
import { sqliteDialect } from "./sqlite/dialect.ts";

/** The dialect of a name. Dialects are small and load no driver. */
export function dialectOf(name: DialectName): Dialect {
  return name === "postgres" ? postgresDialect : sqliteDialect;
}
