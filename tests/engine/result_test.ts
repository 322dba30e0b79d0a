import { assertEquals, assertThrows } from "@std/assert";
import type { DriverResult, WireRow } from "../../src/dialect/driver.ts";
import { dialectOf } from "../../src/dialect/dialects.ts";
import { Result } from "../../src/engine/result.ts";
import { MultipleResultsError, NoResultError, UsageError } from "../../src/errors.ts";

interface Row {
  id: number;
  name: string | null;
}

function result(rows: WireRow[], names = ["id", "name"]): Result<Row> {
  const columns = names.map((name) => ({ name, type: 0 }));
  const driverResult: DriverResult = { rows, columns, rowCount: rows.length, command: "SELECT" };
  return new Result<Row>(driverResult, dialectOf("sqlite"));
}

Deno.test("Result gives rows as objects, by position, and one column", () => {
  const two = result([[1, "a"], [2, null]]);
  assertEquals(two.rows, [{ id: 1, name: "a" }, { id: 2, name: null }]);
  assertEquals([...two], two.rows);
  assertEquals(two.values(), [[1, "a"], [2, null]]);
  assertEquals(two.scalars(), [1, 2]);
  assertEquals(two.first(), { id: 1, name: "a" });
  assertEquals([two.rowCount, two.columns], [2, ["id", "name"]]);
});

Deno.test("Result.one() and scalar() want exactly one row", () => {
  assertEquals(result([[1, "a"]]).one(), { id: 1, name: "a" });
  assertEquals(result([[1, "a"]]).scalar(), 1);
  assertEquals(result([]).first(), undefined);
  for (const ask of ["one", "scalar"] as const) {
    assertThrows(() => result([])[ask](), NoResultError, "there is none");
    assertThrows(() => result([[1, "a"], [2, "b"]])[ask](), MultipleResultsError, "there are 2");
  }
});

Deno.test("Result refuses to lose one of two columns of the same name", () => {
  const twice = result([[1, "a"]], ["id", "id"]);
  assertThrows(() => twice.rows, UsageError, 'two columns named "id"');
  assertEquals(twice.values(), [[1, "a"]]);
});

Deno.test("Result makes a column named __proto__ an ordinary property", () => {
  const row = result([[1, "x"]], ["id", "__proto__"]).one();
  assertEquals(Object.keys(row), ["__proto__", "id"]);
  assertEquals(Object.getOwnPropertyDescriptor(row, "__proto__")?.value, "x");
  assertEquals(Object.getPrototypeOf(row), Object.prototype);
});
