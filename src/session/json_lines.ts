/**
 * Objects as lines of JSON, pulled as fast as the reader takes them.
 *
 * @module
 */

/** How much text is gathered before it is handed on: fewer, larger chunks cost less each. */
const CHUNK = 16_384;

/** One line of JSON per object, as UTF-8. Cancelling the stream ends the loop over the objects. */
export function jsonLines(objects: AsyncIterable<object>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let iterator: AsyncIterator<object> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      iterator ??= objects[Symbol.asyncIterator]();
      let text = "";
      while (text.length < CHUNK) {
        const next = await iterator.next();
        if (next.done) {
          if (text !== "") controller.enqueue(encoder.encode(text));
          controller.close();
          return;
        }
        text += `${JSON.stringify(next.value)}\n`;
      }
      controller.enqueue(encoder.encode(text));
    },
    async cancel() {
      await iterator?.return?.();
    },
  }, { highWaterMark: 0 });
}
