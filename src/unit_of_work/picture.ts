/**
 * The picture of a session's objects: which of them differ from their rows, and which relations from
 * what was loaded. A flush, a preview and `session.dirty` begin with one.
 *
 * @module
 */

import { leaving } from "./cascade.ts";
import type { FlushInput, Related } from "./flush_plan.ts";
import type { IdentityMap } from "./identity_map.ts";
import { type Journal, stateOf } from "./journal.ts";
import {
  inStep,
  type Link,
  linksOf,
  type RelationChange,
  relationsOf,
  visitRelations,
} from "./links.ts";
import { Memberships } from "./membership.ts";

/** What the objects of a session look like at one moment. */
export interface Picture {
  /** Objects whose columns differ from their rows. */
  readonly changed: FlushInput["changed"][number][];
  /** What became of relations. */
  readonly changes: readonly RelationChange[];
  /** The foreign keys that follow from it. */
  readonly links: readonly Link[];
  /** The rows of junction tables that follow from it. */
  readonly memberships: Memberships;
  /** The relations of the stored objects concerned, as they are now. */
  readonly relations: Map<object, Map<string, unknown>>;
}

/** What a picture is taken of. */
export interface PictureSubject {
  /** The objects that have rows. */
  readonly identityMap: IdentityMap;
  /** Objects to be inserted. */
  readonly pending: ReadonlySet<object>;
  /** Objects to be deleted. */
  readonly deleted: ReadonlySet<object>;
  /** Whether an object that a relation leads to is new, and is to be looked at as well. */
  readonly joins: (object: object) => boolean;
}

/** Looks at all objects once. */
export function takePicture(
  { identityMap, pending, deleted, joins }: PictureSubject,
): Picture {
  const relations: Picture["relations"] = new Map();
  const changed: Picture["changed"] = [];
  const changes: RelationChange[] = [];
  const queue = [...pending];
  const visitor = {
    reached: (object: object) => {
      if (joins(object)) queue.push(object);
    },
    changed: (change: RelationChange) => changes.push(change),
  };
  identityMap.forEach((object) => {
    const state = stateOf(object);
    if (deleted.size > 0 && deleted.has(object)) {
      changes.push(...leaving(object, state));
      return;
    }
    const columns = state.shape!.changes(object, state.row!, state.key!);
    if (columns !== null) changed.push({ object, state, columns });
    if (state.related === undefined || inStep(object, state.mapper, state.related)) return;
    relations.set(object, relationsOf(object, state.mapper) ?? new Map());
    visitRelations(object, state.mapper, state, visitor);
  });
  for (let i = 0; i < queue.length; i++) {
    const object = queue[i]!;
    visitRelations(object, stateOf(object).mapper, undefined, visitor);
  }
  let links: Link[] = [];
  const memberships = new Memberships();
  for (const change of changes) {
    if (change.relation.kind === "manyToMany") memberships.note(change, deleted);
    linksOf(change, links);
  }
  // The key of a row that goes is of no interest any more.
  if (deleted.size > 0) links = links.filter(({ child }) => !deleted.has(child));
  return { changed, changes, links, memberships, relations };
}

/** What a picture saw is in step with the database now; what was assigned since is not. */
export function keepRelations(relations: FlushInput["relations"], journal: Journal): void {
  for (const [object, related] of relations) {
    journal.note(object, stateOf(object));
    keepRelated({ object, related });
  }
}

/** The same of one object, without a note: a rollback makes a new one new again. */
export function keepRelated({ object, related }: Related): void {
  related.forEach((_, property) => {
    if (!Object.hasOwn(object, property)) related.delete(property);
  });
  stateOf(object).related = related;
}
