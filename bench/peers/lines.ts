/** How parent and children talk: a line of JSON for each thing said. */

/** Marks the lines that are ours: libraries print, too. */
const MARK = "@";

/** Says something. */
export function say(what: unknown): void {
  console.log(MARK + JSON.stringify(what));
}

/** What was said by the other side. */
export async function* said<T>(stream: ReadableStream<Uint8Array>): AsyncGenerator<T> {
  for await (const line of lines(stream)) {
    if (line.startsWith(MARK)) yield JSON.parse(line.slice(MARK.length));
  }
}

/** The lines of a stream. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}
