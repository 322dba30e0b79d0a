/**
 * The session of one request, from before its handler to the last byte of its response. Three
 * things can end it, and the first one does: the body's end, an error, the client's leaving.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { AsyncEngine } from "../session/async_engine.ts";
import type { AsyncSession } from "../session/async_session.ts";
import type { SessionOptions } from "../session/session_core.ts";
import { describe } from "../sql/expression.ts";
import { isQuery } from "../session/json_lines.ts";
import { suppress } from "../util/suppress.ts";

/** A body that is no stream has been read after so many microtasks; Deno and Node take up to 8. */
const AT_ONCE = 16;

type Read = ReadableStreamReadResult<Uint8Array>;

/** Ties a session to a request. */
export class RequestScope {
  /** The session of the request. */
  readonly session: AsyncSession;
  readonly #client: AbortSignal;
  /** Not the request's own signal, which servers may abort after a good end, too. */
  readonly #statements = new AbortController();
  readonly #onLeave = (): void => void this.#leave(this.#client.reason);
  #body: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #ended: Promise<void> | undefined;

  /** Makes a session that lasts no longer than the client does. */
  constructor(engine: AsyncEngine, client: AbortSignal, options: SessionOptions) {
    this.session = engine.session({ ...options, signal: this.#statements.signal });
    this.#client = client;
    client.addEventListener("abort", this.#onLeave, { once: true });
    if (client.aborted) this.#onLeave();
  }

  /** The client left before the end. */
  get clientLeft(): boolean {
    return this.#statements.signal.aborted;
  }

  /** The response to send, whose body ends the session; without a body, that is now. */
  async send(response: Response, method: string): Promise<Response> {
    if (!(response instanceof Response)) {
      throw new UsageError(`The handler returned ${describe(response)} instead of a Response`, {
        hint: "Return one on every path",
      });
    }
    const { body } = response;
    if (body === null) {
      await this.#end();
      return response;
    }
    const reader = body.getReader();
    if (this.clientLeft || method === "HEAD") {
      // Nobody will read it, and not every server cancels what it does not read.
      await reader.cancel(this.#client.reason).catch(noop);
      await this.#end();
      return new Response(null, response);
    }
    this.#body = reader;
    if (isQuery(body)) return new Response(this.#watched(reader, []), response);
    const ahead = [reader.read(), reader.read()];
    // Whoever reads on meets its error
    ahead[0]!.catch(noop);
    const end = await atOnce(ahead[1]!);
    if (end?.done !== true || this.clientLeft) {
      return new Response(this.#watched(reader, ahead), response);
    }
    // Servers send what is there as a whole for far less than a stream
    const { value } = await ahead[0]!;
    await this.#end();
    return new Response(value ?? "", response);
  }

  /** Ends the session because of an error, with which it keeps what fails on the way. */
  fail(error: unknown): Promise<void> {
    return this.#end({ error }).catch(noop);
  }

  /** The body, of which `ahead` has been asked for already. */
  #watched(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    ahead: Promise<Read>[],
  ): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        try {
          const { done, value } = await (ahead.shift() ?? reader.read());
          if (!done) return controller.enqueue(value);
          await this.#end();
        } catch (error) {
          await this.fail(error);
          throw error;
        }
        // Last, so that a client which has seen the end finds the connection back in the pool.
        if (this.clientLeft) controller.error(this.#statements.signal.reason);
        else controller.close();
      },
      cancel: (reason) => this.#leave(reason),
    }, { highWaterMark: 0 });
  }

  /** The client is gone: gives up the statement under way and, once there is one, the body. */
  async #leave(reason: unknown): Promise<void> {
    if (this.#ended !== undefined) return;
    this.#statements.abort(reason ?? new DOMException("The client left", "AbortError"));
    // While the handler is at work, its end is the session's end.
    if (this.#body === undefined) return;
    await this.#body.cancel(reason).catch(noop);
    await this.#end().catch(noop);
  }

  #end(failure?: { error: unknown }): Promise<void> {
    return this.#ended ??= this.#close(failure);
  }

  async #close(failure: { error: unknown } | undefined): Promise<void> {
    this.#client.removeEventListener("abort", this.#onLeave);
    if (failure === undefined) return await this.session.close();
    // Changes that are left are not wanted, so that closing has nothing to say about them.
    const keep = (later: unknown) => suppress(failure?.error, later);
    await this.session.rollback().catch(keep);
    await this.session.close().catch(keep);
  }
}

/** What a read gives, if that is there at once. */
async function atOnce(read: Promise<Read>): Promise<Read | undefined> {
  let result: Read | undefined;
  read.then((value) => result = value, noop);
  for (let i = 0; i < AT_ONCE && result === undefined; i++) await undefined;
  return result;
}

function noop(): void {}
