/**
 * Relation declarations: `hasMany<Book>("books.authorId")`, `belongsTo<Author>("authorId")`. They
 * name their target by table, so two entities never import each other at run time.
 *
 * @module
 */

declare const types: unique symbol;

/** How many objects a relation leads to. */
export type Cardinality = "many" | "one";

/** All that was declared of a relation. */
export type RelationSpec =
  | {
    /** The other table holds the key. */
    readonly kind: "hasMany";
    /** `table.column` of the key, the column by its property or column name. */
    readonly by: string;
  }
  | {
    /** This table holds the key. */
    readonly kind: "belongsTo";
    /** The key's property. */
    readonly by: string;
  };

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

/**
 * The objects whose foreign key points here: `hasMany<Book>("books.authorId")`.
 *
 * @param by The foreign key of the other table, as `"table.property"`.
 */
export function hasMany<E>(by: string): Relation<"many", E> {
  return new Relation({ kind: "hasMany", by });
}

/**
 * The object a foreign key of this entity points to: `belongsTo<Author>("authorId")`. With a
 * nullable key say `belongsTo<Author | null>("authorId")`, and the compiler minds the null.
 *
 * @param by The property of this entity that holds the key.
 */
export function belongsTo<E>(by: string): Relation<"one", E> {
  return new Relation({ kind: "belongsTo", by });
}
