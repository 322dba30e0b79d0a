/**
 * The statement tree: plain immutable values. They know neither how to spell themselves nor how
 * to run; `dialect/compiler.ts` spells them, the engine runs them.
 *
 * @module
 */

import type { SqlType } from "./wire.ts";

/**
 * The key under which a value carries its node. A symbol of our own, so that nothing parsed from
 * JSON can pass for SQL structure.
 */
export const nodeOf: unique symbol = Symbol("sluice.node");

/** Anything that carries a node: expressions, `sql` fragments, entity classes, queries. */
export interface HasNode {
  /**
   * The node.
   *
   * @internal
   */
  readonly [nodeOf]: Node;
}

/** A table in a FROM clause. Identity matters: two sources of one table are two aliases. */
export interface TableSource {
  /** Tells sources from other nodes. */
  readonly kind: "table";
  /** The schema, if the table is qualified. */
  readonly schema: string | undefined;
  /** The table's name. */
  readonly name: string;
}

/** A column of a source. */
export interface ColumnNode {
  /** Discriminator. */
  readonly kind: "column";
  /** The source it belongs to. */
  readonly source: TableSource;
  /** The column's name in the database. */
  readonly name: string;
  /** Its type. */
  readonly type: SqlType<unknown>;
  /** It can be null. */
  readonly nullable: boolean;
  /** Its name in messages: `authors.name`. */
  readonly label: string;
}

/** A bound value. */
export interface ValueNode {
  /** Discriminator. */
  readonly kind: "value";
  /** The JavaScript value; encoded when compiled. */
  readonly value: unknown;
  /** The type it is encoded by; absent: by its JavaScript type. */
  readonly type: SqlType<unknown> | undefined;
  /** Its name in messages. */
  readonly label: string;
}

/** Operators that stand between two operands. */
export type BinaryOperator = "=" | "<>" | "<" | "<=" | ">" | ">=";

/** `left operator right`. */
export interface BinaryNode {
  /** Discriminator. */
  readonly kind: "binary";
  /** The operator. */
  readonly operator: BinaryOperator;
  /** Left operand. */
  readonly left: Node;
  /** Right operand. */
  readonly right: Node;
}

/** `a and b and …`, flat however it was built, so that long chains do not nest. */
export interface LogicalNode {
  /** Discriminator. */
  readonly kind: "logical";
  /** Which of the two. */
  readonly operator: "and" | "or";
  /** Two or more terms. */
  readonly terms: readonly Node[];
}

/** `not (…)`. */
export interface NotNode {
  /** Discriminator. */
  readonly kind: "not";
  /** What is negated. */
  readonly term: Node;
}

/** `… is [not] null`. */
export interface NullTestNode {
  /** Discriminator. */
  readonly kind: "nullTest";
  /** What is tested. */
  readonly term: Node;
  /** `is not null`. */
  readonly negated: boolean;
}

/** `… [not] in` a list of values, bound as one array, or a subquery. */
export interface InNode {
  /** Discriminator. */
  readonly kind: "in";
  /** What is looked for. */
  readonly term: Node;
  /** The values, or the subquery. */
  readonly list: readonly unknown[] | SelectNode;
  /** How the values are encoded. */
  readonly type: SqlType<unknown> | undefined;
  /** Its name in messages. */
  readonly label: string;
  /** `not in`. */
  readonly negated: boolean;
}

/** `… like …`, with `\` as the escape character. */
export interface LikeNode {
  /** Discriminator. */
  readonly kind: "like";
  /** What is matched. */
  readonly term: Node;
  /** The pattern. */
  readonly pattern: Node;
  /** Ignore case (`ilike`). */
  readonly insensitive: boolean;
}

/** A function of the database. The name comes from our own code only. */
export interface CallNode {
  /** Discriminator. */
  readonly kind: "call";
  /** The function's name, trusted. */
  readonly name: string;
  /** Its arguments. */
  readonly args: readonly Node[];
}

/** Trusted text and nodes in between: what the `sql` tag makes. */
export interface RawNode {
  /** Discriminator. */
  readonly kind: "raw";
  /** Strings are trusted SQL text. */
  readonly parts: readonly (string | Node)[];
}

/** A quoted name. */
export interface IdentifierNode {
  /** Discriminator. */
  readonly kind: "identifier";
  /** The name, unquoted. */
  readonly name: string;
}

/** `[not] exists (select …)`. */
export interface ExistsNode {
  /** Discriminator. */
  readonly kind: "exists";
  /** The subquery. */
  readonly select: SelectNode;
}

/** A subquery that stands where a value stands. */
export interface ScalarNode {
  /** Discriminator. */
  readonly kind: "scalar";
  /** The subquery. */
  readonly select: SelectNode;
}

/** One term of an ORDER BY. */
export interface OrderNode {
  /** Discriminator. */
  readonly kind: "order";
  /** What is sorted by. */
  readonly term: Node;
  /** Descending. */
  readonly descending: boolean;
  /** Where nulls go; absent: the largest value, on every database. */
  readonly nulls: "first" | "last" | undefined;
}

/** A row lock. */
export interface LockNode {
  /** How strong. */
  readonly strength: "update" | "share";
  /** What to do with rows that are locked already; absent: wait. */
  readonly wait: "skipLocked" | "noWait" | undefined;
}

/** `select …`. */
export interface SelectNode {
  /** Discriminator. */
  readonly kind: "select";
  /** What is selected. */
  readonly columns: readonly Node[];
  /** From where. */
  readonly from: TableSource | undefined;
  /** The condition. */
  readonly where: Node | undefined;
  /** The order. */
  readonly orderBy: readonly OrderNode[];
  /** At most so many rows. */
  readonly limit: number | undefined;
  /** Without the first so many. */
  readonly offset: number | undefined;
  /** Lock the rows. */
  readonly lock: LockNode | undefined;
}

/** Any node. */
export type Node =
  | TableSource
  | ColumnNode
  | ValueNode
  | BinaryNode
  | LogicalNode
  | NotNode
  | NullTestNode
  | InNode
  | LikeNode
  | CallNode
  | RawNode
  | IdentifierNode
  | ExistsNode
  | ScalarNode
  | OrderNode
  | SelectNode;

/** The node a value carries, if it carries one. */
export function nodeIn(value: unknown): Node | undefined {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") {
    return undefined;
  }
  return (value as Partial<HasNode>)[nodeOf];
}
