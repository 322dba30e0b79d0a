/** Deeper values are left to whoever looks closer, so that none can overflow the stack. */
const DEEPEST = 100;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const SPACE = 0x20;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * True if JSON `text` spells `value` member by member, in this order: then they are equal. False
 * decides nothing: the same value has other spellings. Reads the text in place, which costs a
 * fraction of parsing it.
 */
export function jsonMatches(value: unknown, text: string): boolean {
  return match(value, text, 0, 0) === text.length;
}

/** Where `text` goes on after `value`; -1 if it is not spelt there. */
function match(value: unknown, text: string, at: number, depth: number): number {
  switch (typeof value) {
    case "string":
      return matchString(value, text, at);
    case "number":
    case "boolean":
      return matchWord(String(value), text, at);
    case "object":
      if (value === null) return matchWord("null", text, at);
      if (depth === DEEPEST) return -1;
      return Array.isArray(value)
        ? matchArray(value, text, at, depth + 1)
        : matchObject(value as Record<string, unknown>, text, at, depth + 1);
    default:
      return -1;
  }
}

/** Only strings that are spelt without escapes. */
function matchString(value: string, text: string, at: number): number {
  if (text.charCodeAt(at) !== QUOTE) return -1;
  at++;
  for (let i = 0; i < value.length; i++, at++) {
    const code = value.charCodeAt(i);
    if (code !== text.charCodeAt(at) || code === QUOTE || code === BACKSLASH) return -1;
  }
  return text.charCodeAt(at) === QUOTE ? at + 1 : -1;
}

/** A longer word that begins alike is found out by what must follow. */
function matchWord(word: string, text: string, at: number): number {
  return text.startsWith(word, at) ? at + word.length : -1;
}

function matchArray(value: readonly unknown[], text: string, at: number, depth: number): number {
  if (text.charCodeAt(at) !== OPEN_ARRAY) return -1;
  at++;
  for (let i = 0; i < value.length; i++) {
    if (i > 0) at = matchMark(COMMA, text, at);
    if (at === -1) return -1;
    at = match(value[i], text, at, depth);
    if (at === -1) return -1;
  }
  return text.charCodeAt(at) === CLOSE_ARRAY ? at + 1 : -1;
}

function matchObject(
  value: Readonly<Record<string, unknown>>,
  text: string,
  at: number,
  depth: number,
): number {
  if (text.charCodeAt(at) !== OPEN_OBJECT) return -1;
  at++;
  let first = true;
  for (const key in value) {
    if (!first) at = matchMark(COMMA, text, at);
    first = false;
    if (at === -1) return -1;
    at = matchString(key, text, at);
    if (at !== -1) at = matchMark(COLON, text, at);
    if (at !== -1) at = match(value[key], text, at, depth);
    if (at === -1) return -1;
  }
  return text.charCodeAt(at) === CLOSE_OBJECT ? at + 1 : -1;
}

/** A comma or colon, and the space that PostgreSQL writes behind it. */
function matchMark(mark: number, text: string, at: number): number {
  if (text.charCodeAt(at) !== mark) return -1;
  return text.charCodeAt(at + 1) === SPACE ? at + 2 : at + 1;
}
