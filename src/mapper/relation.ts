/**
 * Relation declarations: `hasMany<Book>("books.authorId")`, `belongsTo<Author>("authorId")`. They
 * name their target by table, so two entities never import each other at run time.
 *
 * @module
 */

import { withoutPrototype } from "../util/own.ts";

declare const types: unique symbol;

/** How many objects a relation leads to. */
export type Cardinality = "many" | "one";

/**
 * What happens to related objects.
 *
 * - `"save"`: new ones are stored along with the object. The default.
 * - `"all"`: they are deleted along with it, too.
 * - `"all-orphans"`: they are deleted as well when they are taken out of the relation.
 */
export type Cascade = "save" | "all" | "all-orphans";

/** What the declaration of a to-one relation can say beside its key. */
export interface RelationOptions {
  /** What happens to related objects. Default `"save"`. */
  readonly cascade?: Cascade | undefined;
}

/** What the declaration of a to-many relation can say beside its key. */
export interface ManyOptions extends RelationOptions {
  /** The order in which the objects are loaded: `"title"`, `"price desc"`, or several. */
  readonly orderBy?: string | readonly string[] | undefined;
}

/** What the declaration of `manyToMany` can say beside its table. */
export interface ManyToManyOptions extends ManyOptions {
  /** The table of the related objects, where neither their own relation nor a reference tells it. */
  readonly target?: string | undefined;
  /** The association's columns that point to this side. */
  readonly from?: string | readonly string[] | undefined;
  /** The association's columns that point to the other side. */
  readonly to?: string | readonly string[] | undefined;
}

/** All that was declared of a relation. */
export interface RelationSpec {
  /** Which side holds the key: this table, the other one, or a table between. */
  readonly kind: "hasMany" | "hasOne" | "belongsTo" | "manyToMany";
  /**
   * The columns of the key: of this entity by property (`belongsTo`), else as `table.column`; for
   * `manyToMany` the table between.
   */
  readonly by: readonly string[];
  /** The rest. */
  readonly options: ManyToManyOptions;
}

/** A relation to entities of type `E`. */
export class Relation<C extends Cardinality, E> {
  /** For the compiler's eyes only. */
  declare readonly [types]: { readonly cardinality: C; readonly target: () => E };
  /** What was declared. */
  readonly spec: RelationSpec;

  /** Users call `hasMany()`, `belongsTo()` instead. */
  constructor(spec: RelationSpec) {
    this.spec = spec;
  }
}

function list(by: string | readonly string[]): readonly string[] {
  return typeof by === "string" ? [by] : by;
}

/**
 * The objects whose foreign key points here: `hasMany<Book>("books.authorId")`.
 *
 * An array that is assigned replaces what is stored, whether that was loaded or not: what it does not
 * hold is let go of or, by `cascade: "all-orphans"`, deleted. The flush reads what it has to know for that,
 * with one statement for all objects.
 *
 * @param by The foreign key of the other table, as `"table.property"`; a composite one as an array.
 *
 * @example An ordered collection that owns its members
 * ```ts
 * import { belongsTo, entity, hasMany, integer, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Song extends entity("songs", {
 *   id: integer().primaryKey().generated(),
 *   title: text(),
 *   albumId: integer().references("albums.id"),
 *   album: belongsTo<Album>("albumId"),
 * }) {}
 * class Album extends entity("albums", {
 *   id: integer().primaryKey().generated(),
 *   songs: hasMany<Song>("songs.albumId", { orderBy: "title", cascade: "all-orphans" }),
 * }) {}
 *
 * const album = new Album({ songs: [new Song({ title: "Prelude" })] });
 * assertEquals(JSON.stringify(album), `{"songs":[{"title":"Prelude"}]}`);
 * ```
 */
export function hasMany<E>(
  by: string | readonly string[],
  options: ManyOptions = {},
): Relation<"many", E> {
  return new Relation({ kind: "hasMany", by: list(by), options: withoutPrototype(options) });
}

/**
 * The one object whose foreign key points here: `hasOne<Profile>("profiles.userId")`. There can be
 * none, so it is null or an object. The key should be `unique()`.
 *
 * What is assigned takes the place of the stored one, whether that was loaded or not, as of `hasMany`.
 *
 * @param by The foreign key of the other table, as `"table.property"`; a composite one as an array.
 */
export function hasOne<E>(
  by: string | readonly string[],
  options: RelationOptions = {},
): Relation<"one", E | null> {
  return new Relation({ kind: "hasOne", by: list(by), options: withoutPrototype(options) });
}

/**
 * The object a foreign key of this entity points to: `belongsTo<Author>("authorId")`. With a
 * nullable key say `belongsTo<Author | null>("authorId")`, and the compiler minds the null.
 *
 * @param by The property of this entity that holds the key; of a composite key all of them.
 */
export function belongsTo<E>(
  by: string | readonly string[],
  options: RelationOptions = {},
): Relation<"one", E> {
  return new Relation({ kind: "belongsTo", by: list(by), options: withoutPrototype(options) });
}

/**
 * Objects linked over a table between: `manyToMany<Tag>("book_tags")`.
 *
 * The table is one that `createAll()` makes, with a foreign key to each side (`book_id`, `tag_id`
 * after the classes' names), or one that an entity maps, with columns of its own. Links are added
 * and removed by changing the array; one that is assigned replaces the stored links, whether they were
 * loaded or not.
 *
 * @param table The table between.
 * @param options `from` and `to` name its columns, where they are not found by themselves: when both
 * sides are the same table, or it refers to one of them twice.
 *
 * @example
 * ```ts
 * import { entity, integer, manyToMany, text } from "@sluice/orm";
 * import { assertEquals } from "@std/assert";
 *
 * class Post extends entity("posts", {
 *   id: integer().primaryKey().generated(),
 *   tags: manyToMany<Tag>("post_tags"),
 * }) {}
 * class Tag extends entity("tags", {
 *   id: integer().primaryKey().generated(),
 *   label: text().unique(),
 *   posts: manyToMany<Post>("post_tags"),
 * }) {}
 *
 * const post = new Post({ tags: [new Tag({ label: "deno" })] });
assertEquals(JSON.stringify(post), `{"tags":[{"label":"deno"}]}`);
 * ```
 */
export function manyToMany<E>(
  table: string,
  options: ManyToManyOptions = {},
): Relation<"many", E> {
  return new Relation({ kind: "manyToMany", by: [table], options: withoutPrototype(options) });
}
