import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  AsyncEngine,
  belongsTo,
  ConfigError,
  entity,
  hasMany,
  integer,
  MappingError,
  text,
} from "@sluice/orm";
import { Author, LIBRARY } from "../support/library_model.ts";

const id = () => integer().primaryKey().generated();

/** The mistakes that an engine finds in these entities. */
function problems(...entities: unknown[]): readonly string[] {
  const engine = new AsyncEngine("sqlite::memory:", { entities });
  return assertThrows(() => engine.session(), MappingError).problems;
}

/** The only mistake. */
function problem(...entities: unknown[]): string {
  const found = problems(...entities);
  assertEquals(found.length, 1, found.join("\n"));
  return found[0]!;
}

Deno.test("MappingError lists every mistake at once, each with its mend", () => {
  class A extends entity("as", { name: text() }) {}
  class B
    extends entity("bs", { id: id(), aId: integer().references("az.id"), a: belongsTo<A>("ad") }) {}
  class C extends entity("bs", { id: id(), bs: hasMany<B>("bs.cId") }) {}
  const engine = new AsyncEngine("sqlite::memory:", { entities: [A, B, C] });
  const error = assertThrows(() => engine.session(), MappingError);
  assertEquals(error.code, "MAPPING");
  assert(error.problems.length >= 4, error.message);
  assertMatch(error.message, /^The mapping has \d+ mistakes:\n {2}- /);
  for (const problem of error.problems) assert(error.message.includes(problem));
});

Deno.test("the library has no mistakes", () => {
  new AsyncEngine("sqlite::memory:", { entities: LIBRARY }).session();
});

Deno.test("an entity needs a primary key, whose columns are never null", () => {
  class A extends entity("as", { name: text() }) {}
  assertMatch(problem(A), /A has no primary key.*\.primaryKey\(\)/);
  class B extends entity("bs", { id: integer().primaryKey().nullable() }) {}
  assertMatch(problem(B), /bs\.id.*cannot be nullable/);
});

Deno.test("two entities of one table, one entity twice, and one column twice are refused", () => {
  class A extends entity("as", { id: id() }) {}
  class B extends entity("as", { id: id() }) {}
  assertMatch(problem(A, B), /B and A map the same table "as"/);
  assertMatch(problem(A, A), /A is listed twice/);
  class C extends entity("cs", { id: id(), userName: text(), user_name: text() }) {}
  assertMatch(
    problem(C),
    /"user_name" and "userName" of C are both the column "user_name".*\.column\(/,
  );
});

Deno.test("a reference names a mapped table and one of its columns", () => {
  class A extends entity("as", { id: id() }) {}
  class B extends entity("bs", { id: id(), aId: integer().references("az.id") }) {}
  assertMatch(problem(A, B), /bs\.aId.*"az\.id".*no entity.*"az".*as/);
  class C extends entity("cs", { id: id(), aId: integer().references("as.key") }) {}
  assertMatch(problem(A, C), /A has no column "key"/);
  class D extends entity("ds", { id: id(), aId: integer().references("as") }) {}
  assertMatch(problem(A, D), /"table\.column"/);
});

Deno.test("belongsTo names a column of its own that refers to something", () => {
  class A extends entity("as", { id: id() }) {}
  class B extends entity("bs", {
    id: id(),
    aId: integer().references("as.id"),
    a: belongsTo<A>("aid"),
  }) {}
  assertMatch(problem(A, B), /B\.a.*belongsTo\("aid"\).*aId/);
  class C extends entity("cs", { id: id(), aId: integer(), a: belongsTo<A>("aId") }) {}
  assertMatch(problem(A, C), /C\.a.*\.references\(/);
});

Deno.test("hasMany names the key of the other table", () => {
  class B extends entity("bs", { id: id(), aId: integer().references("as.id") }) {}
  class A extends entity("as", { id: id(), bs: hasMany<B>("bs.aid") }) {}
  assertMatch(problem(A, B), /A\.bs.*hasMany\("bs\.aid"\).*aId/);
  class C extends entity("as", { id: id(), bs: hasMany<B>("books.aId") }) {}
  assertMatch(problem(C, B), /C\.bs.*no entity.*"books"/);
  // The column's name in the database does, too.
  class D extends entity("as", { id: id(), bs: hasMany<B>("bs.a_id") }) {}
  new AsyncEngine("sqlite::memory:", { entities: [D, B] }).session();
});

Deno.test("a class declares no constructor, and no field that hides a column or relation", () => {
  class A extends entity("as", { id: id(), name: text() }) {
    constructor(name: string) {
      super({ name });
    }
  }
  assertMatch(problem(A), /A declares a constructor.*static factory/);
  class B extends entity("bs", { id: id(), name: text() }) {
    override name = "always";
  }
  assertMatch(problem(B), /class field "name" of B.*rename/);
  class C extends entity("cs", { id: id(), name: text() }) {
    upper = this.name.toUpperCase();
  }
  assertMatch(problem(C), /C cannot be made from a row.*field initialiser/);
});

Deno.test("entities that are no entities are refused when the engine is made", () => {
  for (
    const bad of [[class {}], [undefined], [{}], ["authors"], {}, "authors", [Author, () => {}]]
  ) {
    assertThrows(
      () => new AsyncEngine("sqlite::memory:", { entities: bad as unknown[] }),
      ConfigError,
    );
  }
});

Deno.test("a mapping mistake is told by whatever uses the mapping first, and every time", async () => {
  class A extends entity("as", { name: text() }) {}
  await using engine = new AsyncEngine("sqlite::memory:", { entities: [A] });
  for (let i = 0; i < 2; i++) assertThrows(() => engine.session(), MappingError);
});
