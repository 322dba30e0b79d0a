/**
 * Objects as JSON, pulled as fast as the reader takes them.
 *
 * @module
 */

/** How much text is gathered before it is handed on: fewer, larger chunks cost less each. */
const CHUNK = 16_384;

/** Writes one value as JSON. */
export type WriteJson = (value: unknown) => string;

/** One line of JSON per object, as UTF-8. Cancelling the stream ends the loop over the objects. */
export function jsonLines(
  objects: AsyncIterable<unknown>,
  write: WriteJson = JSON.stringify,
): ReadableStream<Uint8Array> {
  return jsonText(objects, write, "", "", "\n", "");
}

/** One JSON array of all objects, as UTF-8. Cancelling the stream ends the loop over the objects. */
export function jsonArray(
  objects: AsyncIterable<unknown>,
  write: WriteJson = JSON.stringify,
): ReadableStream<Uint8Array> {
  return jsonText(objects, write, "[", ",", "", "]");
}

function jsonText(
  objects: AsyncIterable<unknown>,
  write: WriteJson,
  begin: string,
  between: string,
  after: string,
  end: string,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let iterator: AsyncIterator<unknown> | undefined;
  let text = begin;
  let count = 0;
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      iterator ??= objects[Symbol.asyncIterator]();
      while (text.length < CHUNK) {
        const next = await iterator.next();
        if (next.done) {
          text += end;
          if (text !== "") controller.enqueue(encoder.encode(text));
          controller.close();
          return;
        }
        text += `${count++ === 0 ? "" : between}${write(next.value)}${after}`;
      }
      controller.enqueue(encoder.encode(text));
      text = "";
    },
    async cancel() {
      await iterator?.return?.();
    },
  }, { highWaterMark: 0 });
  queries.add(stream);
  return stream;
}

const queries = new WeakSet<ReadableStream<Uint8Array>>();

/** Whether these are the rows of a query, of which none is asked for before it is wanted. */
export function isQuery(stream: ReadableStream<Uint8Array>): boolean {
  return queries.has(stream);
}

/** Writes rows that can hold what JSON does not know: big integers as digits, bytes in base64. */
export function writeAnything(value: unknown): string {
  return JSON.stringify(value, replaceUnknown) ?? "null";
}

function replaceUnknown(_key: string, part: unknown): unknown {
  if (typeof part === "bigint") return String(part);
  if (!(part instanceof Uint8Array)) return part;
  let binary = "";
  for (let i = 0; i < part.length; i++) binary += String.fromCharCode(part[i]!);
  return btoa(binary);
}
