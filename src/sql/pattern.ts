/** Patterns of `like`. @module */

import { InputError } from "../errors.ts";
import { type LikeNode, type Node, typeOf } from "./node.ts";
import { checkType, describe, labelOf } from "./operand.ts";
import { Parameter } from "./parameter.ts";

/** Matches a pattern as it stands. */
export function likeNode(term: Node, pattern: unknown, insensitive: boolean): LikeNode {
  return match(term, pattern, insensitive, (text) => text);
}

/** Matches text with wildcards around it, its own ones taken as letters. */
export function partNode(
  term: Node,
  part: unknown,
  before: "%" | "",
  after: "%" | "",
  insensitive = false,
): LikeNode {
  return match(term, part, insensitive, (text) => `${before}${escapeLike(text)}${after}`);
}

function match(
  term: Node,
  given: unknown,
  insensitive: boolean,
  make: (text: string) => string,
): LikeNode {
  const label = labelOf(term);
  if (typeOf(term) !== undefined) checkType(term, "like()", ["text"]);
  const pattern = (text: unknown): string => {
    if (typeof text !== "string") {
      throw new InputError(`Text to match is expected for "${label}", found ${describe(text)}`, {
        hint: "Pass a string",
      });
    }
    return closed(make(text));
  };
  const value = given instanceof Parameter ? new Parameter(given.name, pattern) : pattern(given);
  return {
    kind: "like",
    term,
    pattern: { kind: "value", value, type: undefined, label },
    insensitive,
  };
}

/** A lone backslash at the end escapes nothing, which PostgreSQL refuses: it is taken as itself. */
function closed(pattern: string): string {
  let backslashes = 0;
  while (pattern[pattern.length - 1 - backslashes] === "\\") backslashes++;
  return backslashes % 2 === 0 ? pattern : `${pattern}\\`;
}

/** Takes the wildcards' meaning away. */
function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, "\\$&");
}
