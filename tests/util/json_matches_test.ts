import { assert, assertEquals } from "@std/assert";
import { jsonMatches } from "../../src/util/json_matches.ts";

/** As PostgreSQL prints jsonb. */
function spaced(value: unknown): string {
  return JSON.stringify(value, null, 1).replaceAll(/\n */g, " ").replaceAll(/([[{]) /g, "$1")
    .replaceAll(/ ([\]}])/g, "$1");
}

Deno.test("jsonMatches() knows a value by its JSON, with and without spaces", () => {
  const values = [
    null,
    true,
    0,
    -1.5,
    1e21,
    "",
    "naïve 😀",
    [],
    {},
    [[], {}, [1, 2]],
    { a: 1, b: [null, "x", { c: false }], d: "two words, and: more" },
  ];
  for (const value of values) {
    assert(jsonMatches(value, JSON.stringify(value)), JSON.stringify(value));
    assert(jsonMatches(value, spaced(value)), spaced(value));
  }
});

Deno.test("jsonMatches() takes nothing for equal that is not", () => {
  const different: [unknown, string][] = [
    [1, "12"],
    [12, "1"],
    ["a", '"ab"'],
    ["ab", '"a"'],
    ['a","b', '"a","b"'],
    [['a","b'], '["a","b"]'],
    ["a\\", '"a\\"'],
    ["1", "1"],
    [1, '"1"'],
    [[1], "[1,2]"],
    [[1, 2], "[1]"],
    [[], "{}"],
    [{}, '{"a": 1}'],
    [{ a: 1 }, "{}"],
    [{ a: 1 }, '{"b": 1}'],
    [{ a: undefined }, '{"a": null}'],
    [undefined, ""],
    [Number.NaN, "null"],
    [1n, "1"],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ];
  for (const [value, text] of different) assertEquals(jsonMatches(value, text), false, text);
});

Deno.test("jsonMatches() leaves very deep values undecided instead of overflowing", () => {
  const depth = 100_000;
  let value: unknown = 0;
  for (let i = 0; i < depth; i++) value = [value];
  assertEquals(jsonMatches(value, "[".repeat(depth) + "0" + "]".repeat(depth)), false);
});
