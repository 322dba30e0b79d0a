import { Buffer } from "node:buffer";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { DatabaseError } from "../../../src/errors.ts";
import { Outbox } from "../../../src/dialect/postgres/outbox.ts";
import { Random } from "../../support/random.ts";
import { connect } from "./support.ts";

Deno.test("Outbox sends what was written in one turn in one piece, and texts of every length whole", () => {
  const random = new Random(7);
  const sent: Buffer[] = [];
  const outbox = new Outbox((bytes) => void sent.push(Buffer.from(bytes)));
  const expected: Buffer[] = [];
  for (let i = 0; i < 200; i++) {
    const length = random.pick([0, 1, 47, 48, 49, 500, 20_000, 70_000]);
    const text = random.pick(["x", "é", "☃", "😀"]).repeat(length) + random.text();
    outbox.query(text);
    expected.push(Buffer.from(`${text}\0`));
    if (random.int(0, 3) === 0) outbox.flush();
  }
  outbox.flush();
  const bytes = Buffer.concat(sent);
  let at = 0;
  for (const body of expected) {
    assertEquals(bytes[at], "Q".charCodeAt(0));
    assertEquals(bytes.readInt32BE(at + 1), 4 + body.length);
    assert(bytes.subarray(at + 5, at + 5 + body.length).equals(body));
    at += 5 + body.length;
  }
  assertEquals(at, bytes.length);
});

Deno.test("Outbox never writes over what it has sent", () => {
  const sent: Uint8Array[] = [];
  const outbox = new Outbox((bytes) => void sent.push(bytes));
  for (let i = 0; i < 5_000; i++) {
    outbox.bind("s1", [`${i}`, null, "é".repeat(i % 80)]);
    outbox.execute();
    outbox.flush();
  }
  const numbers = sent.map((bytes) => {
    const message = Buffer.from(bytes);
    const size = message.readInt32BE(13);
    return Number(message.toString("latin1", 17, 17 + size));
  });
  assertEquals(numbers, Array.from({ length: 5_000 }, (_, i) => i));
});

Deno.test("PostgresConnection gives the same by either protocol", async () => {
  await using own = await connect({ wire: "own" });
  await using driver = await connect({ wire: "driver" });
  const statements: [text: string, params: (string | null)[]][] = [
    ["select $1::text a, $2::int b", ["é\n☃😀", null]],
    ["select $1::text a, $2::int b", ["x".repeat(100_000), "7"]],
    ["create temp table t (id int primary key, name text)", []],
    ["insert into t select * from unnest($1::int[], $2::text[])", ["{1,2,3}", '{a,NULL,"c,"}']],
    ["insert into t values (4, 'd') on conflict do nothing returning *", []],
    ["update t set name = $1 where id = $2", ["new", "2"]],
    ["select * from t order by id", []],
    ["select from t", []],
    ["delete from t where false", []],
    ["", []],
    ["set application_name = 'somebody'", []],
    ["values (1, 'a'), (2, 'b')", []],
    ["alter table t add column more int", []],
    ["select * from t order by id", []],
    ["drop table t", []],
  ];
  // The second time everything is prepared.
  for (let round = 0; round < 2; round++) {
    for (const [text, params] of statements) {
      assertEquals(await own.run(text, params), await driver.run(text, params), text);
    }
  }
});

Deno.test("PostgresConnection tells the columns of a statement that failed the first time", async () => {
  await using own = await connect({ wire: "own" });
  const inverse = "select 12 / $1::int as inverse";
  await assertRejects(() => own.run(inverse, ["0"]), DatabaseError);
  await assertRejects(() => own.run(inverse, ["none"]), DatabaseError);
  const { columns, rows } = await own.run(inverse, ["4"]);
  assertEquals([columns, rows], [[{ name: "inverse", type: 23 }], [["3"]]]);
});

Deno.test("PostgresConnection keeps pipelined answers apart, new and known, good and bad", async () => {
  await using own = await connect({ wire: "own" });
  const { connection } = own;
  for (let round = 0; round < 3; round++) {
    await connection.begin();
    const answers = await Promise.all([
      ...["a", "b", "a"].map((name) => own.rows(`select '${name}', $1::text`, [name])),
      own.rows("select $1::text", ["last"]),
    ]);
    assertEquals(answers, [[["a", "a"]], [["b", "b"]], [["a", "a"]], [["last"]]]);
    const ends = await Promise.allSettled([
      own.rows("select 1 / $1::int", ["0"]),
      own.rows("select $1::text", ["refused"]),
      connection.rollback(),
      own.rows("select $1::text", ["after"]),
    ]);
    assertEquals(ends.map(({ status }) => status), [
      "rejected",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
  }
});
