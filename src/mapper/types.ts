/**
 * What TypeScript proves about entities: which relations are loaded, which paths exist, what a
 * new object needs.
 *
 * @module
 */

import type { Column, DeferredColumn, DiscriminatorColumn, ValueOf } from "../schema/column.ts";
import type { Averaged } from "../sql/aggregates.ts";
import type { Condition, Expression } from "../sql/expression.ts";
import type { Embedded } from "./embedded.ts";
import type { Relation } from "./relation.ts";

declare const loading: unique symbol;
declare const declared: unique symbol;
declare const computedValue: unique symbol;

/** The type of a relation that was not loaded. Reading through it does not compile. */
export interface Unloaded {
  /**
   * For the compiler's eyes only.
   *
   * @internal
   */
  readonly [loading]: "unloaded";
}

/** The type of a deferred column that was not loaded. Reading it does not compile. */
export interface Deferred {
  /**
   * For the compiler's eyes only.
   *
   * @internal
   */
  readonly [loading]: "deferred";
}

/** What marks a loaded relation, for the compiler's eyes only. */
export interface Loaded {
  /**
   * Never there at run time.
   *
   * @internal
   */
  readonly [loading]?: "loaded";
}

/** A to-many relation: the objects, once loaded. */
export type Many<E> = (E[] & Loaded) | Unloaded;
/** A to-one relation that always has its object. */
export type One<E> = (E & Loaded) | Unloaded;
/** A to-one relation that can be empty. */
export type MaybeOne<E> = (E & Loaded) | null | Unloaded;

/** A declared column or relation. */
// deno-lint-ignore no-explicit-any -- the bound of an inferred parameter; `unknown` is not wide enough under variance
export type Field = Column<any, any> | Relation<any, any> | Embedded<any, any>;
/** All declarations of an entity. */
export type Fields = { readonly [name: string]: Field };

/**
 * What a property of an instance holds. Whether a to-one relation can be empty is asked here and
 * not where it is declared: there it would make two classes that refer to each other circular.
 */
export type PropertyOf<F> = F extends Relation<"many", infer E> ? Many<E>
  : F extends Relation<"one", infer E> ? null extends E ? MaybeOne<NonNullable<E>> : One<E>
  : F extends Embedded<infer G, infer N> ? Group<G> | N
  // deno-lint-ignore no-explicit-any -- matches every deferred column
  : F extends DeferredColumn<any, any> ? ValueOf<F> | Deferred
  : F extends Computed<infer T> ? T
  : ValueOf<F>;

/** The object of a group of columns. */
export type Group<G> = { -readonly [K in keyof G]: ValueOf<G[K]> };

/** The names of groups of columns. */
export type GroupNames<F> = {
  // deno-lint-ignore no-explicit-any -- matches every group
  [K in keyof F]: F[K] extends Embedded<any, any> ? K : never;
}[keyof F];

/** The columns' names. */
export type ColumnNames<F> = {
  // deno-lint-ignore no-explicit-any -- matches every column
  [K in keyof F]: F[K] extends Column<any, any> ? K : never;
}[keyof F];

/** A field that a new object must be given. */
// deno-lint-ignore no-explicit-any -- matches every such field
export type RequiredField = Column<any, "required"> | Embedded<any, never>;

/** The names of the fields that a new object must be given. */
export type RequiredNames<F> = {
  [K in keyof F]: F[K] extends RequiredField ? K : never;
}[keyof F];

/** What a new object takes for a field. */
export type InitOf<F> = F extends Embedded<infer G, infer N> ? Init<G> | N
  : Exclude<PropertyOf<F>, Unloaded | Deferred>;

/** What `new Entity({ … })` takes. */
export type Init<F> =
  & { [K in RequiredNames<F>]: InitOf<F[K]> }
  & { [K in Exclude<keyof F, RequiredNames<F>>]?: InitOf<F[K]> };

/** An instance: a property a field. */
export type Instance<F> = { -readonly [K in keyof F]: PropertyOf<F[K]> } & Declared<F>;

/** The declaration of a column that queries compute: read, and never written. */
export interface Computed<T> {
  /**
   * For the compiler's eyes only.
   *
   * @internal
   */
  readonly [computedValue]: T;
}

/** The declarations of computed columns, given their values. */
export type ComputedFields<C> = { readonly [K in keyof C]: Computed<C[K]> };

/** An instance of an entity with computed columns. */
export type ComputedInstance<F, C> =
  & { -readonly [K in keyof F]: PropertyOf<F[K]> }
  & { readonly [K in keyof C]: C[K] }
  & Declared<F & ComputedFields<C>>;

/** Carries an entity's declarations to the query types, for the compiler's eyes only. */
export interface Declared<F> {
  /**
   * Never there at run time.
   *
   * @internal
   */
  readonly [declared]?: F;
}

/** The declarations of an entity, given its instances' type. */
export type FieldsOf<E> = E extends Declared<infer F> ? F : never;

/** What the discriminator of an entity can say. */
export type KindOf<E> = KindIn<FieldsOf<E>> & string;

/** As `KindOf`, of a set of declarations; any text where the compiler does not see which column it is. */
export type KindIn<F> = [DiscriminatorIn<F>] extends [never] ? string : DiscriminatorIn<F>;

/** The values of a discriminator. */
export type DiscriminatorIn<F> = {
  [K in keyof F]: F[K] extends DiscriminatorColumn<infer T> ? T : never;
}[keyof F];

/** An instance of a class that extends that of `B` and declares `G`. */
export type SubclassInstance<B, G> =
  & B
  & { -readonly [K in keyof G]: PropertyOf<G[K]> }
  & Declared<FieldsOf<B> & G>;

/** An entity as it was declared, whatever was loaded of it. */
export type Declarations<E> = Instance<FieldsOf<E>>;

/** The names of an entity's to-many relations, loaded or not. */
export type ManyNames<E> =
  & {
    [K in keyof FieldsOf<E>]: FieldsOf<E>[K] extends Relation<"many", infer _> ? K : never;
  }[keyof FieldsOf<E>]
  & string;

/** The names of an entity's relations, loaded or not. */
export type RelationNames<E> = RelationsOf<FieldsOf<E>>;

/** The names of the relations of a set of declarations. */
export type RelationsOf<F> =
  & {
    // deno-lint-ignore no-explicit-any -- matches every relation
    [K in keyof F]: F[K] extends Relation<any, any> ? K : never;
  }[keyof F]
  & string;

/** The entity a relation's value leads to. */
export type TargetOf<V> = V extends Unloaded ? never
  : V extends readonly (infer E)[] ? E
  : V extends null ? never
  : V;

/**
 * `P` if it is a dotted path of relations from `E`, else what could stand in its place. Asked step by
 * step of the path that is there: a union of all paths grows with every relation of every entity
 * behind `E`, and cost more than everything else in a program together.
 */
export type Path<E, P extends string> = PathOf<FieldsOf<E>, P>;

/** As `Path`, given the declarations of the entity. */
export type PathOf<F, P extends string> = P extends keyof F
  // deno-lint-ignore no-explicit-any -- matches every relation
  ? F[P] extends Relation<any, any> ? P : RelationsOf<F>
  : P extends `${infer H}.${infer R}` ? H extends keyof F
      // deno-lint-ignore no-explicit-any -- matches every relation
      ? F[H] extends Relation<any, infer E> ? `${H}.${Path<NonNullable<E>, R>}` : RelationsOf<F>
    : RelationsOf<F>
  : RelationsOf<F>;

/** The first step of a path. */
export type Head<P extends string> = P extends `${infer H}.${string}` ? H : P;
/** What follows the step `H` of a path. */
export type Rest<P extends string, H extends string> = P extends `${H}.${infer R}` ? R : never;

/** `E` with the relations of the paths `P`, and the columns named there, loaded. Assignable to `E`. */
export type With<E, P extends string> =
  & {
    [K in Head<P> & keyof E]: LoadedValue<Exclude<E[K], Unloaded | Deferred>, Rest<P, K & string>>;
  }
  & E;

/** The names of what is read from an entity's row: columns, groups of them, computed columns. */
export type ReadNames<E> =
  & {
    // deno-lint-ignore no-explicit-any -- matches every relation
    [K in keyof FieldsOf<E>]: FieldsOf<E>[K] extends Relation<any, any> ? never : K;
  }[keyof FieldsOf<E>]
  & string;

/** `E` loaded with the columns `K`. The others were not, and reading them does not compile. */
export type Only<E, K extends string> =
  & Omit<E, ReadNames<E>>
  & {
    [N in ReadNames<E> & keyof E]: N extends K ? Exclude<E[N], Deferred> : E[N] | Deferred;
  };

/** The value of a loaded relation, the paths `R` behind it loaded too. */
export type LoadedValue<V, R extends string> = [R] extends [never] ? V
  : V extends readonly (infer E)[] ? With<E, R>[] & Loaded
  : V extends null ? null
  : With<V, R>;

/** The entity a path leads to. */
export type PathTarget<E, P extends string> =
  & (P extends `${infer H}.${infer T}` ? H extends keyof E ? PathTarget<TargetOf<E[H]>, T> : never
    : P extends keyof E ? TargetOf<E[P]>
    : never)
  & object;

/** As `With`, the objects at the end of the path being `S`; where these lack columns, it is no `E`. */
export type WithRefined<E, P extends string, S> =
  & {
    [K in Head<P> & keyof E]: RefinedValue<Exclude<E[K], Unloaded>, Rest<P, K & string>, S>;
  }
  & ([S] extends [PathTarget<E, P>] ? E : Omit<E, Head<P>>);

/** The value of a loaded relation, the objects at the end of the path `R` being `S`. */
export type RefinedValue<V, R extends string, S> = V extends readonly (infer E)[]
  ? ([R] extends [never] ? S : WithRefined<E, R, S>)[] & Loaded
  : V extends null ? null
  : [R] extends [never] ? S
  : WithRefined<V, R, S>;

/** A to-many relation inside a query: conditions on and values of the related rows. */
export interface ManyRef<E> {
  /** At least one of them meets the condition; without a condition: there is one. */
  some(where?: (target: Ref<E>) => Condition): Condition;
  /** None of them meets the condition; without a condition: there is none. */
  none(where?: (target: Ref<E>) => Condition): Condition;
  /** All of them meet the condition; true when there are none. */
  every(where: (target: Ref<E>) => Condition): Condition;
  /** How many there are, or how many meet the condition. */
  count(where?: (target: Ref<E>) => Condition): Expression<number>;
  /** The sum of a number of each; null when there are none. */
  sum<T extends number | bigint | string | null>(
    of: (target: Ref<E>) => Expression<T>,
    where?: (target: Ref<E>) => Condition,
  ): Expression<T | null>;
  /** The average of a number of each, as `avg()` gives it; null when there are none. */
  avg<T extends number | bigint | string | null>(
    of: (target: Ref<E>) => Expression<T>,
    where?: (target: Ref<E>) => Condition,
  ): Expression<Averaged<T> | null>;
  /** The smallest value; null when there are none. */
  min<T>(
    of: (target: Ref<E>) => Expression<T>,
    where?: (target: Ref<E>) => Condition,
  ): Expression<T | null>;
  /** The largest value; null when there are none. */
  max<T>(
    of: (target: Ref<E>) => Expression<T>,
    where?: (target: Ref<E>) => Condition,
  ): Expression<T | null>;
}

/** What a field is inside a query; `N` is null where the whole entity can be missing. */
export type RefOf<F, N> = F extends Relation<"many", infer E> ? ManyRef<E>
  : F extends Relation<"one", infer E>
    ? (null extends E ? NullableRef<NonNullable<E>> : [N] extends [never] ? Ref<E> : NullableRef<E>)
  : F extends Embedded<infer G, infer M> ? RefsOf<G, N | M>
  : F extends Computed<infer T> ? Expression<T | N>
  : Expression<ValueOf<F> | N>;

/**
 * An entity inside `where`, `orderBy`, `select` and the like: its columns as expressions, its
 * to-one relations as such entities (they are joined by themselves), its to-many relations with
 * `some`, `count`, ….
 */
export type Ref<E> = RefsOf<FieldsOf<E>>;

/** As `Ref`, of an entity that can be missing: behind a nullable relation or a left join. */
export type NullableRef<E> = RefsOf<FieldsOf<E>, null>;

/** The columns and relations of a set of declarations, as expressions. */
export type RefsOf<F, N = never> = { readonly [K in keyof F]: RefOf<F[K], N> };

/** The columns of a set of declarations, as expressions. */
export type ColumnRefs<F> = {
  readonly [K in ColumnNames<F> | GroupNames<F>]: F[K] extends Embedded<infer G, infer _>
    ? ColumnRefs<G>
    : Expression<ValueOf<F[K]>>;
};

/** What `filterBy` takes: values of columns. JSON columns are left out, since an object is no value. */
export type Filter<E> = FilterOf<FieldsOf<E>>;

/** Values of the columns of a set of declarations. */
export type FilterOf<F> = { readonly [K in ColumnNames<F>]?: ValueOf<F[K]> };

/** An entity class, whatever its declarations. */
export interface EntityClass<E extends object = object> {
  /** Called by nobody but TypeScript, to see what the class makes. */
  // deno-lint-ignore no-explicit-any -- a class is accepted whatever it needs to be constructed
  new (...args: any[]): E;
}
