/**
 * PostgreSQL's text form of arrays, `{a,"b c",NULL}`: array columns, and how many rows travel as
 * one parameter.
 *
 * @module
 */

import type { WireValue } from "../sql/wire.ts";

/** Writes a one-dimensional array. Every element but null is quoted where it could be misread. */
export function arrayLiteral(values: readonly WireValue[]): string {
  let text = "{";
  for (let i = 0; i < values.length; i++) {
    if (i > 0) text += ",";
    const value = values[i];
    text += value === null ? "NULL" : element(value as string);
  }
  return text + "}";
}

/** Text, null, or a list of them. */
export type ArrayItem = string | null | readonly ArrayItem[];

/** Writes an array of any depth. */
export function arrayText(items: readonly ArrayItem[]): string {
  const parts = items.map((item) =>
    item === null ? "NULL" : typeof item === "string" ? element(item) : arrayText(item)
  );
  return `{${parts.join(",")}}`;
}

/**
 * Writes column `index` of many rows as an array. JSON's form of a list is the same but for its
 * brackets and the escapes of control characters, and the engine writes it several times faster.
 */
export function columnLiteral(rows: readonly (readonly WireValue[])[], index: number): string {
  const values = new Array<WireValue>(rows.length);
  for (let i = 0; i < rows.length; i++) values[i] = rows[i]![index]!;
  const json = JSON.stringify(values);
  return escapesOnly(json) ? `{${json.slice(1, -1)}}` : arrayLiteral(values);
}

/** True if all that is escaped are quotes and backslashes, which an array escapes like JSON. */
function escapesOnly(json: string): boolean {
  if (!/\\[^"\\]/.test(json)) return true;
  // Could still be what stands behind a backslash that is escaped itself.
  for (let at = json.indexOf("\\"); at >= 0; at = json.indexOf("\\", at + 2)) {
    if (json[at + 1] !== '"' && json[at + 1] !== "\\") return false;
  }
  return true;
}

function element(value: string): string {
  return isPlain(value) ? value : quoted(value);
}

/** Letters, digits and `-._:+` need no quotes; an empty string, `NULL` and all else do. */
function isPlain(value: string): boolean {
  if (value.length === 0 || value.length > 64) return false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    const plain = (code >= 48 && code <= 58) || (code >= 97 && code <= 122) ||
      (code >= 65 && code <= 90) || code === 45 || code === 46 || code === 95 || code === 43;
    if (!plain) return false;
  }
  return value.length !== 4 || value.toUpperCase() !== "NULL";
}

function quoted(value: string): string {
  const escaped = value.includes("\\") || value.includes('"')
    ? value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')
    : value;
  return `"${escaped}"`;
}

/**
 * Reads an array, nested ones included, with `decode` applied to every element.
 *
 * Grammar: PostgreSQL manual, section 8.15.6; a leading dimension such as `[0:1]=` is passed over.
 */
export function parseArray<T>(text: string, decode: (element: string) => T): unknown[] {
  let at = text.indexOf("{");
  const parse = (): unknown[] => {
    const items: unknown[] = [];
    at++;
    while (text[at] !== "}") {
      if (text[at] === ",") at++;
      if (text[at] === "{") items.push(parse());
      else if (text[at] === '"') items.push(decode(quotedElement()));
      else {
        let end = at;
        while (text[end] !== "," && text[end] !== "}" && end < text.length) end++;
        const word = text.slice(at, end);
        items.push(word === "NULL" ? null : decode(word));
        at = end;
      }
      if (at >= text.length) break;
    }
    at++;
    return items;
  };
  const quotedElement = (): string => {
    let value = "";
    at++;
    while (at < text.length && text[at] !== '"') {
      if (text[at] === "\\") at++;
      value += text[at++];
    }
    at++;
    return value;
  };
  return parse();
}
