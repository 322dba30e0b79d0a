/**
 * The schema that is type checked, and who writes it down.
 *
 * Entity `i` has nine columns and three relations: it belongs to entity `i + 1`, has many of entity
 * `i - 1`, and can have an editor, entity `i + 5`; the last is followed by the first. Three queries
 * each: one with conditions on its columns and on both sides of it, one that loads two relations, one
 * behind the other, and one of a few columns. Whatever a query gives is read.
 */

/** The source files of a program by path, and what it needs. */
export interface Contender {
  /** For the tables. */
  readonly title: string;
  /** The npm packages, pinned. */
  readonly packages: Readonly<Record<string, string>>;
  /** The files of a program of `n` entities with their queries; of none at all, it imports the library. */
  program(n: number): Map<string, string>;
}

/** Who stands around an entity. */
export interface Neighbours {
  /** The entity itself. */
  readonly own: number;
  /** It belongs to this one. */
  readonly owner: number;
  /** It has many of these. */
  readonly item: number;
  /** One of these edits it, or none. */
  readonly editor: number;
}

/** The entities of a schema, each with its neighbours. */
export function entities(n: number): Neighbours[] {
  return Array.from({ length: n }, (_, own) => ({
    own,
    owner: (own + 1) % n,
    item: (own + n - 1) % n,
    editor: (own + 5) % n,
  }));
}

/** The import of the other entities' names, sorted and each of them once. */
export function importsOf(
  { own, owner, item, editor }: Neighbours,
  line: (i: number) => string,
): string {
  const others = new Set([owner, item, editor]);
  others.delete(own);
  return [...others].sort((a, b) => a - b).map(line).join("\n");
}
