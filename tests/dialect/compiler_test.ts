/** How statements are spelled on the two dialects; what they mean is tested on the databases. */

import { assertEquals, assertThrows } from "@std/assert";
import { postgresDialect } from "../../src/dialect/postgres/dialect.ts";
import { sqliteDialect } from "../../src/dialect/sqlite/dialect.ts";
import { InputError, UsageError } from "../../src/errors.ts";
import { entity } from "../../src/mapper/define.ts";
import { boolean, integer, json, numeric, text, timestamptz } from "../../src/schema/column.ts";
import { arrayAgg, count, rowNumber, sum } from "../../src/sql/aggregates.ts";
import { allOf, type Expression } from "../../src/sql/expression.ts";
import { caseWhen, coalesce, greatest, matches, now } from "../../src/sql/functions.ts";
import { type Node, nodeOf, type SelectNode, type TableSource } from "../../src/sql/node.ts";
import { sql } from "../../src/sql/raw.ts";

class Pet extends entity("pets", {
  id: integer().primaryKey(),
  name: text(),
  nick: text().nullable(),
  price: numeric(10, 2),
  wild: boolean(),
  at: timestamptz(),
  meta: json<{ tags: string[] }>(),
}) {}

const { c } = Pet;
const source = Pet[nodeOf] as TableSource;

function select(change: Partial<SelectNode>): SelectNode {
  return {
    kind: "select",
    columns: [c.id[nodeOf]],
    from: source,
    where: undefined,
    orderBy: [],
    limit: undefined,
    offset: undefined,
    lock: undefined,
    ...change,
  };
}

/** What stands after WHERE, on PostgreSQL and on SQLite. */
function spelled(expression: Expression<unknown>): [string, string] {
  const statement = select({ where: expression[nodeOf] });
  const after = (text: string) => text.slice(text.indexOf(" where ") + 7);
  return [
    after(postgresDialect.compile(statement).text),
    after(sqliteDialect.compile(statement).text),
  ];
}

Deno.test("values are placeholders, cast where nothing beside them tells their type", () => {
  assertEquals(spelled(c.name.eq("x")), [`"t0"."name" = $1`, `"t0"."name" = ?1`]);
  assertEquals(spelled(coalesce(c.nick, "x").eq("y")), [
    `coalesce("t0"."nick", $1::text) = $2`,
    `coalesce("t0"."nick", ?1) = ?2`,
  ]);
  assertEquals(spelled(c.id.add(1).gt(2)), [
    `("t0"."id" + $1::integer) > $2`,
    `("t0"."id" + ?1) > ?2`,
  ]);
});

Deno.test("decimal numbers are compared and computed as numbers on SQLite", () => {
  assertEquals(spelled(c.price.gt("5")), [
    `"t0"."price" > $1`,
    `cast("t0"."price" as numeric) > cast(?1 as numeric)`,
  ]);
  const { text } = sqliteDialect.compile(select({ columns: [sum(c.price)[nodeOf]] }));
  assertEquals(text, `select cast(sum(cast("t0"."price" as numeric)) as text) from "pets" as "t0"`);
});

Deno.test("conditions within operators, and raw text within conditions, stand in parentheses", () => {
  assertEquals(spelled(c.id.gt(1).eq(true))[0], `("t0"."id" > $1) = $2`);
  assertEquals(spelled(c.id.gt(1).isNull())[0], `("t0"."id" > $1) is null`);
  assertEquals(
    spelled(sql<boolean>`1 = 0 or 1 = 1`.and(c.wild))[0],
    `((1 = 0 or 1 = 1) and "t0"."wild")`,
  );
  assertEquals(
    spelled(c.wild.or(c.id.eq(1)).and(c.name.like("a").not()))[0],
    `(("t0"."wild" or "t0"."id" = $1) and not ("t0"."name" like $2 escape '\\'))`,
  );
});

Deno.test("functions are spelled in each database's words", () => {
  assertEquals(spelled(c.at.dateTrunc("month").lt(now())), [
    `date_trunc('month', "t0"."at", 'UTC') < now()`,
    `strftime('%Y-%m-01T00:00:00.000Z', "t0"."at") < strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`,
  ]);
  assertEquals(spelled(c.meta.at("tags", 0).isNotNull()), [
    `("t0"."meta" #> $1::text[]) is not null`,
    `("t0"."meta" -> ?1) is not null`,
  ]);
  assertEquals(spelled(greatest(c.id, 3).eq(3)), [
    `greatest("t0"."id", $1::integer) = $2`,
    `(select max(v) from (select "t0"."id" as v union all select ?1)) = ?2`,
  ]);
  assertEquals(
    spelled(caseWhen(c.wild, 1).else(2).eq(1))[0],
    `(case when "t0"."wild" then $1::integer else $2::integer end) = $3`,
  );
});

Deno.test("JSON paths are bound, never spliced", () => {
  const statement = select({ where: c.meta.text("a'b", `"`, -1).eq("x")[nodeOf] });
  const { text, params } = postgresDialect.compile(statement);
  assertEquals(text.slice(text.indexOf("where")), `where ("t0"."meta" #>> $1::text[]) = $2`);
  assertEquals(params, [`{"a'b","\\"",-1}`, "x"]);
  assertEquals(
    sqliteDialect.compile(select({ columns: [c.meta.at("a'b", 0, -1)[nodeOf]] })).params,
    [`$."a'b"[0][#-1]`],
  );
  const quote = select({ columns: [c.meta.at(`a"b`)[nodeOf]] });
  assertEquals(assertThrows(() => sqliteDialect.compile(quote), UsageError).code, "UNSUPPORTED");
});

Deno.test("aggregates with distinct, order, filter and window", () => {
  const columns = [
    count()[nodeOf],
    count(c.name).distinct().filter(c.wild)[nodeOf],
    arrayAgg(c.name).orderBy(c.id.desc())[nodeOf],
    rowNumber().over({ partitionBy: c.wild, orderBy: [c.id.desc().nullsLast()] })[nodeOf],
    sum(c.id).over({
      frame: { mode: "range", from: "unboundedPreceding", to: { following: 2 } },
    })[nodeOf],
  ];
  assertEquals(
    postgresDialect.compile(select({ columns })).text,
    `select count(*), count(distinct "t0"."name") filter (where "t0"."wild"), ` +
      `coalesce(array_agg("t0"."name" order by "t0"."id" desc), '{}'), ` +
      `row_number() over (partition by "t0"."wild" order by "t0"."id" desc nulls last), ` +
      `sum("t0"."id") over (range between unbounded preceding and 2 following) from "pets" as "t0"`,
  );
});

Deno.test("what SQLite lacks is refused with code UNSUPPORTED", () => {
  const statements: Node[] = [
    select({ where: matches(c.name, "x")[nodeOf] }),
    select({ where: c.meta.contains({ tags: [] })[nodeOf] }),
    select({ columns: [c.price.mod("2")[nodeOf]] }),
    select({ distinct: [c.id[nodeOf]] }),
  ];
  for (const statement of statements) {
    const error = assertThrows(() => sqliteDialect.compile(statement), UsageError);
    assertEquals(error.code, "UNSUPPORTED");
    postgresDialect.compile(statement);
  }
});

Deno.test("a to-one relation is joined where its source stands, inside parentheses of a join", () => {
  const other: TableSource = { kind: "table", schema: undefined, name: "toys" };
  const column = (of: TableSource, name: string): Node => ({
    kind: "column",
    source: of,
    name,
    type: "integer",
    nullable: false,
    label: name,
  });
  const equal = (left: Node, right: Node): Node => ({ kind: "binary", operator: "=", left, right });
  const makers: TableSource = {
    kind: "table",
    schema: "x",
    name: "makers",
    via: { parent: other, on: { kind: "raw", parts: ["on"] } },
  };
  const on = equal(column(other, "pet_id"), c.id[nodeOf]);
  const where = equal(column(makers, "id"), column(makers, "size"));
  assertEquals(
    postgresDialect.compile(select({ joins: [{ kind: "inner", source: other, on }], where })).text,
    `select "t0"."id" from "pets" as "t0" join ("toys" as "t1" left join "x"."makers" as "t2" on on) ` +
      `on "t1"."pet_id" = "t0"."id" where "t2"."id" = "t2"."size"`,
  );
  const lock = { strength: "update", wait: "noWait" } as const;
  assertEquals(
    postgresDialect.compile(
      select({ joins: [{ kind: "left", source: other, on: undefined }], lock }),
    ).text,
    `select "t0"."id" from "pets" as "t0" left join "toys" as "t1" on 1 = 1 for update of "t0" nowait`,
  );
  assertThrows(
    () =>
      postgresDialect.compile(
        select({
          columns: [column({ ...makers, via: { ...makers.via!, parent: { ...other } } }, "id")],
        }),
      ),
    UsageError,
    "outside",
  );
});

Deno.test("conditions as deep as programs nest them need no stack; deeper ones are refused", () => {
  const deep = (levels: number) => {
    let condition = c.id.gt(0);
    for (let i = 0; i < levels; i++) {
      condition = i % 2 === 0 ? condition.or(c.wild) : condition.and(c.wild);
    }
    return select({ where: condition[nodeOf] });
  };
  for (const dialect of [postgresDialect, sqliteDialect]) {
    dialect.compile(deep(800));
    assertThrows(() => dialect.compile(deep(20_000)), InputError, "levels deep");
  }
  const wide = select({ where: allOf(...Array.from({ length: 20_000 }, () => c.wild))[nodeOf] });
  postgresDialect.compile(wide);
  sqliteDialect.compile(wide);
});

Deno.test("names are quoted wherever they come from, and many names are no leak", () => {
  const columns: Node[] = [`a"b`, "x; drop table y", "ünï"].map((name) => ({
    kind: "identifier",
    name,
  }));
  assertEquals(
    postgresDialect.compile(select({ columns, from: undefined })).text,
    `select "a""b", "x; drop table y", "ünï"`,
  );
  assertThrows(() => postgresDialect.compile({ kind: "identifier", name: "a\0b" }), InputError);
});

Deno.test("more values than a statement can have are refused before they are sent", () => {
  const many = (count: number) => sql.join(Array.from({ length: count }, (_, i) => i))[nodeOf];
  assertEquals(postgresDialect.compile(many(65_535)).params.length, 65_535);
  assertThrows(() => postgresDialect.compile(many(65_536)), InputError, "65535");
  assertThrows(() => sqliteDialect.compile(many(32_767)), InputError, "bulkInsert()");
});
