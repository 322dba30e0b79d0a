/** Keys of bytes: hashes and binary UUIDs. Lists of them are bound as hex where there are no arrays. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  belongsTo,
  bytes,
  entity,
  hasMany,
  InputError,
  integer,
  manyToMany,
  sql,
  text,
} from "@sluice/orm";
import { eachEngine } from "../support/each_engine.ts";
import { openLibrary, sent } from "../support/library_model.ts";

class Blob extends entity("blobs", {
  hash: bytes().primaryKey(),
  name: text(),
  parts: hasMany<Part>("parts.blobHash"),
  labels: manyToMany<Label>("blob_labels"),
}) {}

class Part extends entity("parts", {
  blobHash: bytes().primaryKey().references("blobs.hash"),
  place: integer().primaryKey(),
  blob: belongsTo<Blob>("blobHash"),
  notes: hasMany<Note>(["notes.partHash", "notes.partPlace"]),
}) {}

class Note extends entity("notes", {
  id: integer().primaryKey(),
  partHash: bytes().nullable(),
  partPlace: integer().nullable(),
  part: belongsTo<Part | null>(["partHash", "partPlace"]),
}, {
  foreignKeys: [{
    columns: ["partHash", "partPlace"],
    references: ["parts.blobHash", "parts.place"],
  }],
}) {}

class Label extends entity("labels", {
  id: integer().primaryKey(),
  blobs: manyToMany<Blob>("blob_labels"),
}) {}

const HASHES = [[], [0], [0, 255], [255, 92, 120]].map((list) => new Uint8Array(list));

eachEngine("bytes are keys, simple and composite, of every relation", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Blob, Part, Note, Label] });
  await using session = engine.session();
  const label = new Label({ id: 1 });
  session.addAll(HASHES.map((hash, i) =>
    new Blob({
      hash,
      name: `b${i}`,
      labels: [label],
      parts: [1, 2].map((place) => new Part({ place, notes: [new Note({ id: i * 10 + place })] })),
    })
  ));
  await session.commit();

  await using other = engine.session();
  const statements = await sent(engine, async () => {
    const blobs = await other.query(Blob).orderBy((b) => b.name).selectin("parts.notes", "labels")
      .all();
    assertEquals(blobs.map((b) => b.hash), HASHES);
    const ids = blobs.map((b) => b.parts.flatMap((p) => p.notes.map((n) => n.id)).sort());
    assertEquals(ids.map((list) => list.length), [2, 2, 2, 2]);
    assertEquals(ids.flat().sort((a, b) => a - b), [1, 2, 11, 12, 21, 22, 31, 32]);
    assert(blobs.every((b) => b.labels.length === 1));
  });
  assertEquals(statements.length, 4);
  const notes = await other.load(await other.query(Note).all(), "part.blob");
  assert(notes.every((n) => n.part!.blob.name === `b${Math.floor(n.id / 10)}`));
  assertEquals((await other.getOrFail(Blob, HASHES[2]!)).name, "b2");
  const some = other.query(Blob).where((b) => b.hash.in([HASHES[0]!, HASHES[3]!]));
  assertEquals((await some.orderBy((b) => b.name).all()).map((b) => b.name), ["b0", "b3"]);
  const not = other.query(Blob).where((b) => b.hash.notIn([HASHES[0]!, HASHES[3]!]));
  assertEquals(await not.count(), 2);
  await other.bulkDelete(Note, [31, 32]);
  other.delete(notes.find((n) => n.id === 21)!);
  await other.commit();
  assertEquals(await other.query(Note).count(), 5);
});

eachEngine("a list of bytes needs to know its type on SQLite", async ({ target }) => {
  await using engine = await openLibrary(target, { entities: [Blob, Part, Note, Label] });
  await using session = engine.session();
  const [hash] = HASHES;
  await assertRejects(
    () => session.query(Label).where(() => sql<Uint8Array>`x''`.in([hash!])).count(),
    InputError,
    ".typed()",
  );
}, { only: ["sqlite"] });
