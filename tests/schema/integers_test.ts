import { assertEquals } from "@std/assert";
import { parseInteger } from "../../src/schema/integers.ts";

Deno.test("parseInteger() reads what PostgreSQL prints for integers", () => {
  for (const number of [0, 1, -1, 9, 10, 32_767, -32_768, 2_147_483_647, -2_147_483_648]) {
    assertEquals(parseInteger(String(number)), number);
  }
  assertEquals(Object.is(parseInteger("-0"), 0), true);
  assertEquals(parseInteger("999999999999999"), 999_999_999_999_999);
});

Deno.test("parseInteger() leaves everything else to others", () => {
  for (
    const text of ["", "-", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "١", "9007199254740993", "a"]
  ) {
    assertEquals(parseInteger(text), undefined, text);
  }
});
