import { assertEquals } from "@std/assert";
import { columnLiteral, parseArray } from "../../src/schema/postgres_array.ts";

Deno.test("columnLiteral() writes what an array reads, whatever is in the text", () => {
  const harmless = [
    "",
    "NULL",
    "null",
    "a,b",
    "{}",
    `"`,
    "\\",
    `\\"`,
    "C:\\new",
    "\\\\u0041",
    "é€🙂",
  ];
  const controls = ["\n", "\t\r\b\f", "\u0001", "\x7f", "\\\n"];
  for (const values of [harmless, controls, [...harmless, ...controls], []]) {
    const rows = values.map((value) => ["0", value]);
    assertEquals(parseArray(columnLiteral(rows, 1), String), values);
  }
  // PostgreSQL reads null in any case, as long as it is not quoted.
  assertEquals(columnLiteral([["a"], [null], ["null"]], 0), `{"a",null,"null"}`);
});
