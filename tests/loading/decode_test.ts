import { assertRejects } from "@std/assert";
import { AsyncEngine, DecodeError, entity, integer, sql } from "../../mod.ts";
import { eachEngine } from "../support/each_engine.ts";

class Thing extends entity("things", { id: integer().primaryKey(), size: integer() }) {}

eachEngine(
  "a value of another type than the column's is a DecodeError, never NaN",
  async ({ target }) => {
    await using engine = new AsyncEngine(target, { entities: [Thing] });
    await engine.execute(sql`create table things (id integer primary key, size text)`);
    await engine.execute(sql`insert into things values (1, 'large')`);
    await using session = engine.session();
    const error = await assertRejects(() => session.query(Thing).all(), DecodeError);
    if (!error.message.includes("things.size") || error.message.includes("large")) throw error;
  },
);
