/** Where the data of a COPY may be cut, so that a long source need not be held in memory. */

const newline = 0x0a;
const backslash = 0x5c;

/**
 * Whether rows of this `COPY … FROM STDIN` can be told apart by their bytes: in the default text
 * format only, where a newline inside a value is escaped.
 */
export function canBeCut(text: string): boolean {
  return /\bfrom\s+stdin\s*;?\s*$/i.test(text);
}

/** The end of the last whole row in `data`; 0 if there is none. */
export function lastRowEnd(data: Uint8Array): number {
  for (let at = data.lastIndexOf(newline); at >= 0; at = data.lastIndexOf(newline, at - 1)) {
    let escapes = 0;
    while (at - escapes > 0 && data[at - escapes - 1] === backslash) escapes++;
    if (escapes % 2 === 0) return at + 1;
    if (at === 0) break;
  }
  return 0;
}
