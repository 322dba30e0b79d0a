/** A client that costs as little as one can: the server is measured with it. */

import { keyOf } from "./contender.ts";

/** Every so many responses, one is parsed. */
const LOOK = 50;

/** How `requests()` asks. */
export interface Requests {
  /** Of a server on this machine. */
  readonly port: number;
  /** How many requests. */
  readonly n: number;
  /** Over how many connections, each of which waits for its answer. */
  readonly connections: number;
  /** How many authors there are. */
  readonly authors: number;
}

/** Asks for authors with their books; gives the milliseconds that took. Throws on a wrong answer. */
export async function requests({ port, n, connections, authors }: Requests): Promise<number> {
  const sockets = await Promise.all(
    Array.from({ length: connections }, () => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  let next = 0;
  const loop = async (socket: Deno.TcpConn): Promise<void> => {
    const buffer = new Uint8Array(64 * 1024);
    while (next < n) {
      const i = next++;
      const author = keyOf(i, authors);
      const body = await ask(socket, buffer, author);
      if (i % LOOK === 0) verify(author, body);
    }
  };
  const started = performance.now();
  await Promise.all(sockets.map(loop));
  const ms = performance.now() - started;
  for (const socket of sockets) socket.close();
  return ms;
}

const encoder = new TextEncoder();

/** One request and its response, with a body of a known length or in chunks. */
async function ask(socket: Deno.TcpConn, buffer: Uint8Array, author: number): Promise<string> {
  const request = encoder.encode(`GET /?author=${author} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  for (let sent = 0; sent < request.length;) sent += await socket.write(request.subarray(sent));
  let text = "";
  for (;;) {
    const read = await socket.read(buffer);
    if (read === null) throw new Error("The server has gone");
    text += latin1(buffer.subarray(0, read));
    const head = text.indexOf("\r\n\r\n");
    if (head < 0) continue;
    if (!text.startsWith("HTTP/1.1 200")) throw new Error(`The server says: ${text}`);
    const length = /content-length: (\d+)/i.exec(text.slice(0, head))?.[1];
    if (length === undefined) {
      if (text.endsWith("0\r\n\r\n")) return unchunked(text.slice(head + 4));
    } else if (text.length === head + 4 + Number(length)) {
      return text.slice(head + 4);
    }
  }
}

const decoder = new TextDecoder("latin1");

/** The length in characters is then that in bytes; what we ask for is all ASCII. */
function latin1(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

function unchunked(text: string): string {
  let body = "";
  for (let at = 0;;) {
    const end = text.indexOf("\r\n", at);
    const length = parseInt(text.slice(at, end), 16);
    if (length === 0) return body;
    body += text.slice(end + 2, end + 2 + length);
    at = end + 4 + length;
  }
}

function verify(author: number, body: string): void {
  const { id, books } = JSON.parse(body) as { id: number; books: { pages: number }[] };
  const expected = Array.from({ length: 10 }, (_, i) => ((author - 1) * 10 + 1 + i) % 900);
  const pages = books.map((book) => book.pages).sort((a, b) => a - b);
  if (id !== author || String(pages) !== String(expected.sort((a, b) => a - b))) {
    throw new Error(`Author ${author} came as ${body}`);
  }
}
