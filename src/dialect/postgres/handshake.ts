/**
 * Makes a connection: socket, TLS, startup message, authentication, up to the first ReadyForQuery. All
 * of it is ours, so that a server that is hostile, silent or of another kind never meets the driver,
 * whose authentication has no limits and whose failures at this stage lead to endless new attempts.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { ConnectError } from "../../errors.ts";
import { onAbort } from "../../util/abort.ts";
import type { CallOptions } from "../driver.ts";
import { refusedError } from "./errors.ts";
import {
  errorFields,
  passwordMessage,
  saslInitialResponse,
  startupMessage,
  Type,
} from "./messages.ts";
import type { PostgresSettings } from "./options.ts";
import type { Scram } from "./scram.ts";
import { listen, openSocket, socketError } from "./socket.ts";

/** A server that is ready for the first statement. */
export interface Session {
  /** Connected and paused; nobody listens to it yet. */
  readonly socket: Socket;
  /** The backend's process id. */
  readonly pid: number;
  /** What a CancelRequest has to show. */
  readonly secret: Uint8Array;
  /** Bytes that came after ReadyForQuery. */
  readonly rest: Buffer;
}

/**
 * Makes a connection within the settings' limit and the caller's. Rejects with `ConnectError`.
 *
 * @param greeted Called when the server has been asked to let us in, which takes it a while. What it
 * prepares is waited for.
 */
export async function handshake(
  settings: PostgresSettings,
  options: CallOptions | undefined,
  greeted: () => Promise<unknown>,
): Promise<Session> {
  const { signal, timeout = 0 } = options ?? {};
  signal?.throwIfAborted();
  const limit = timeout > 0 ? Math.min(timeout, settings.connectTimeout) : settings.connectTimeout;
  const { promise: givenUp, reject: giveUp } = Promise.withResolvers<never>();
  givenUp.catch(() => {});
  const sockets: Socket[] = [];
  let over = false;
  const own = (socket: Socket) => {
    if (over) socket.destroy();
    else sockets.push(socket);
  };
  const timer = setTimeout(() => giveUp(timedOut(settings, limit)), limit);
  const forget = signal && onAbort(signal, () => giveUp(signal.reason));
  try {
    return await Promise.race([startSession(settings, own, greeted), givenUp]);
  } catch (error) {
    over = true;
    for (const socket of sockets) {
      socket.on("error", () => {}); // what it says now concerns nobody
      socket.destroy();
    }
    throw error;
  } finally {
    clearTimeout(timer);
    forget?.();
  }
}

async function startSession(
  settings: PostgresSettings,
  own: (socket: Socket) => void,
  greeted: () => Promise<unknown>,
): Promise<Session> {
  const password = await passwordOf(settings);
  const socket = await openSocket(settings, own);
  const reader = new MessageReader(socket, settings);
  socket.write(startupMessage(settings.parameters));
  const prepared = greeted();
  await authenticate(reader, socket, settings, password);
  let pid = 0;
  let secret: Uint8Array = new Uint8Array(4);
  for (;;) {
    const { type, body } = await reader.next();
    if (type === Type.backendKeyData && body.length >= 8) {
      pid = body.readInt32BE(0);
      secret = Uint8Array.prototype.slice.call(body, 4);
    } else if (type === Type.readyForQuery) {
      socket.pause();
      await prepared;
      return { socket, pid, secret, rest: reader.detach() };
    } else if (type !== Type.parameterStatus && type !== Type.noticeResponse) {
      throw notPostgres(settings);
    }
  }
}

async function passwordOf(settings: PostgresSettings): Promise<string> {
  try {
    return await settings.password();
  } catch (error) {
    throw new ConnectError(`Cannot connect to ${settings.target}: the password function failed`, {
      code: "AUTHENTICATION_FAILED",
      cause: error,
    });
  }
}

async function authenticate(
  reader: MessageReader,
  socket: Socket,
  settings: PostgresSettings,
  password: string,
): Promise<void> {
  let scram: Scram | undefined;
  for (;;) {
    const { type, body } = await reader.next();
    if (type === Type.noticeResponse) continue;
    if (type !== Type.authentication || body.length < 4) throw notPostgres(settings);
    const method = body.readInt32BE(0);
    if (method === 0) {
      if (scram !== undefined && !scram.verified) {
        throw authenticationFailed(settings, "the server skipped the proof of its own knowledge");
      }
      return;
    }
    if (password === "" && method <= 10) {
      throw authenticationFailed(settings, "the server asks for a password and none was given");
    }
    try {
      if (method === 3) socket.write(passwordMessage(`${password}\0`));
      else if (method === 5) {
        const { md5Password } = await import("./scram.ts");
        socket.write(passwordMessage(await md5Password(settings.user, password, body.subarray(4))));
      } else if (method === 10 && body.toString("utf8", 4).split("\0").includes("SCRAM-SHA-256")) {
        const { Scram } = await import("./scram.ts");
        scram = new Scram(password);
        socket.write(saslInitialResponse("SCRAM-SHA-256", scram.first));
      } else if (method === 11 && scram !== undefined) {
        socket.write(passwordMessage(await scram.final(body.toString("utf8", 4))));
      } else if (method === 12 && scram !== undefined) {
        scram.verify(body.toString("utf8", 4));
      } else {
        throw new Error(`the server asks for authentication of kind ${method}, which is not known`);
      }
    } catch (error) {
      throw authenticationFailed(settings, (error as Error).message);
    }
  }
}

/** Reads whole messages, one at a time, while a connection is made. */
class MessageReader {
  readonly #socket: Socket;
  readonly #settings: PostgresSettings;
  #bytes: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #forget: () => void;

  constructor(socket: Socket, settings: PostgresSettings) {
    this.#socket = socket;
    this.#settings = settings;
    const failed = (error?: Error) => {
      this.#failure ??= socketError(
        error ?? new Error("the server closed the connection before it was made"),
        settings,
      );
      this.#wake?.();
    };
    this.#forget = listen(socket, {
      data: (bytes: Buffer) => {
        this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
        this.#wake?.();
      },
      error: failed,
      end: () => failed(),
      close: () => failed(),
    });
    socket.resume();
  }

  /** The next message; an ErrorResponse is thrown. */
  async next(): Promise<{ type: number; body: Buffer }> {
    for (;;) {
      const bytes = this.#bytes;
      if (bytes.length >= 5) {
        const size = bytes.readInt32BE(1);
        // Before the first ReadyForQuery nothing is long, so that another protocol's is told at once
        if (!knownTypes.has(bytes[0]!) || size < 4 || size > 65_536) {
          throw notPostgres(this.#settings);
        }
        if (bytes.length > size) {
          this.#bytes = bytes.subarray(size + 1);
          const body = bytes.subarray(5, size + 1);
          if (bytes[0] !== Type.errorResponse) return { type: bytes[0]!, body };
          throw refusedError(errorFields(body), this.#settings.target);
        }
      }
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Lets go of the socket, if it is still there; gives what was read too much. */
  detach(): Buffer {
    if (this.#failure !== undefined) throw this.#failure;
    this.#socket.pause();
    this.#forget();
    return this.#bytes;
  }
}

const knownTypes: ReadonlySet<number> = new Set([
  Type.authentication,
  Type.backendKeyData,
  Type.errorResponse,
  Type.noticeResponse,
  Type.parameterStatus,
  Type.readyForQuery,
]);

function notPostgres(settings: PostgresSettings): ConnectError {
  return new ConnectError(`Cannot connect to ${settings.target}: the answer is not PostgreSQL's`, {
    hint: "Check host and port",
  });
}

function authenticationFailed(settings: PostgresSettings, what: string): ConnectError {
  return new ConnectError(`Cannot connect to ${settings.target}: ${what}`, {
    code: "AUTHENTICATION_FAILED",
    hint: "Check the user name, the password, and what pg_hba.conf asks for",
  });
}

function timedOut(settings: PostgresSettings, limit: number): ConnectError {
  return new ConnectError(`Cannot connect to ${settings.target} within ${limit} ms`, {
    code: "CONNECT_TIMEOUT",
    hint: "Check host, port and firewall, or raise `connectTimeout`",
  });
}
