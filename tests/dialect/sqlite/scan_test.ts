import { assertEquals, assertThrows } from "@std/assert";
import { refuseTail, scanStatement } from "../../../src/dialect/sqlite/scan.ts";
import { InputError } from "../../../src/errors.ts";

Deno.test("scanStatement() finds what a statement does", () => {
  const cases: [string, string, string][] = [
    ["select 1", "SELECT", "read"],
    ["\uFEFF -- c\n /* ; */ SeLeCt 1", "SELECT", "read"],
    ["with x as (insert), y(a) as (select 1) update t set a = 1", "UPDATE", "write"],
    ['with recursive "select" as materialized (select 1) select * from "select"', "SELECT", "read"],
    ["insert into t select * from u", "INSERT", "write"],
    ["explain query plan delete from t", "EXPLAIN", "read"],
    ["create table t (a)", "CREATE", "schema"],
    ["pragma user_version", "PRAGMA", "other"],
    ["rollback", "ROLLBACK", "transaction"],
    ["rollback transaction to savepoint a", "ROLLBACK", "savepoint"],
    ["savepoint a", "SAVEPOINT", "savepoint"],
    ["release a", "RELEASE", "savepoint"],
  ];
  for (const [text, command, kind] of cases) {
    const scan = scanStatement(text);
    assertEquals([scan.command, scan.kind], [command, kind], text);
  }
});

Deno.test("scanStatement() counts parameters outside of quotes and comments", () => {
  const cases: [string, number][] = [
    ["select 1", 0],
    ["select ?1, ?3, ?2", 3],
    ["select ?, ?, ?", 3],
    ["select '?9', \"?9\", `?9`, [?9], -- ?9\n /* ?9 */ ?1", 1],
    ["select 'it''s ?9', ?2", 2],
    ["select a1?1", 1],
  ];
  for (const [text, count] of cases) assertEquals(scanStatement(text).parameters, count, text);
});

Deno.test("scanStatement() refuses named parameters, NUL, lone surrogates and empty text", () => {
  for (
    const text of [
      "select $1",
      "select :a",
      "select @a",
      "select '\0'",
      "select '\ud800'",
      "",
      " ;",
      "--",
    ]
  ) {
    assertThrows(() => scanStatement(text), InputError);
  }
});

Deno.test("scanStatement() takes hostile text in linear time", () => {
  const long = 100_000;
  for (const part of ["/*", "--", "'", "(", "?", "a ", "[", "/* */", "''"]) {
    scanStatement(`select ${part.repeat(long)}`);
  }
});

Deno.test("refuseTail() lets blanks, comments and semicolons pass, and nothing else", () => {
  for (const tail of ["", " ", ";", " ;; -- x", "/* x */ ;\n"]) refuseTail(`select 1;${tail}`, 9);
  for (const tail of ["x", " select 2", "-- x\nselect 2", "/* x */ 1"]) {
    assertThrows(() => refuseTail(`select 1;${tail}`, 9), InputError);
  }
});
