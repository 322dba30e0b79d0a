/**
 * Opens the socket to a server: TCP or Unix, and TLS over it. No statement is sent on a socket that is
 * less private than asked for.
 *
 * @module
 */

import { connect, isIP, type NetConnectOpts, type Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { ConnectError } from "../../errors.ts";
import { sslRequest } from "./messages.ts";
import type { PostgresSettings } from "./options.ts";

/** Where sockets on their way are noted, so that whoever gives up can destroy them. */
export type SocketOwner = (socket: Socket) => void;

/** A connected socket, in TLS if the settings say so. Rejects with `ConnectError`. */
export async function openSocket(settings: PostgresSettings, own: SocketOwner): Promise<Socket> {
  // Loaded where it is needed, and before the socket is there: an error then finds nobody listening
  const tls = settings.tls === undefined ? undefined : await import("node:tls");
  const plain = await openPlain(settings, own);
  return tls === undefined ? plain : await openTls(plain, settings, own, tls.connect);
}

function openPlain(settings: PostgresSettings, own: SocketOwner): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(socketError(error, settings));
    const where: NetConnectOpts = settings.path === undefined
      ? { host: settings.host, port: settings.port }
      : { path: settings.path };
    let socket: Socket;
    try {
      socket = connect(where);
    } catch (error) { // Deno, where reading the Unix socket is not permitted
      return failed(error as Error);
    }
    own(socket);
    const forget = listen(socket, {
      error: failed,
      close: () => failed(new Error("the connection was closed")),
      connect: () => {
        forget();
        if (settings.path === undefined) {
          socket.setNoDelay(true);
          if (settings.keepAlive > 0) socket.setKeepAlive(true, settings.keepAlive);
        }
        resolve(socket);
      },
    });
  });
}

async function openTls(
  plain: Socket,
  settings: PostgresSettings,
  own: SocketOwner,
  connectTls: typeof import("node:tls").connect,
): Promise<Socket> {
  const tls = settings.tls!;
  const failed = (what: string, hint: string, cause?: unknown): ConnectError =>
    new ConnectError(`Cannot connect to ${settings.target} in TLS: ${what}`, {
      code: "TLS_FAILED",
      hint,
      cause,
    });

  const answer = await firstAnswer(plain, settings);
  // What follows the answer in plain text can only come from somebody in between (CVE-2021-23222)
  if (answer.length !== 1 || answer[0] !== 0x53) {
    const refused = answer.length === 1 && answer[0] === 0x4e;
    plain.destroy();
    throw refused
      ? failed("the server does not offer it", 'Switch `ssl` on there, or ask for `tls: "disable"`')
      : failed("the answer is not PostgreSQL's", "Check host and port");
  }
  return await new Promise<Socket>((resolve, reject) => {
    const name = tls.servername ?? settings.host;
    const options: ConnectionOptions = {
      socket: plain,
      rejectUnauthorized: tls.mode !== "require",
    };
    // A server name that is an address is no SNI (RFC 6066), but certificates can bear one
    if (isIP(name) === 0) options.servername = name;
    else options.host = name;
    if (tls.ca !== undefined) options.ca = typeof tls.ca === "string" ? tls.ca : [...tls.ca];
    if (tls.cert !== undefined) options.cert = tls.cert;
    if (tls.key !== undefined) options.key = tls.key;
    if (tls.mode !== "verify-full") options.checkServerIdentity = () => undefined;
    const broken = (error: unknown) => {
      const reason = error instanceof Error ? error.message : "the connection was closed";
      reject(failed(reason, "Check `tls.ca`, the certificate's names and the mode", error));
      secure.destroy();
    };
    const secure = connectTls(options);
    own(secure);
    const forget = listen(secure, {
      error: broken,
      close: () => broken(undefined),
      secureConnect: () => {
        forget();
        resolve(secure);
      },
    });
  });
}

function firstAnswer(socket: Socket, settings: PostgresSettings): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(socketError(error, settings));
    const forget = listen(socket, {
      error: failed,
      close: () => failed(new Error("the connection was closed")),
      data: (bytes: Uint8Array) => {
        forget();
        resolve(bytes);
      },
    });
    socket.write(sslRequest);
  });
}

/** Adds listeners; gives a function that removes them and no others. */
export function listen(
  socket: Socket,
  // deno-lint-ignore no-explicit-any -- each event has arguments of its own
  listeners: Readonly<Record<string, (argument: any) => void>>,
): () => void {
  for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
  return () => {
    for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener);
  };
}

/** A failure of the network as a `ConnectError` that says where, why and what to do. */
export function socketError(error: Error, settings: PostgresSettings): ConnectError {
  const { name, code } = error as Error & { code?: string };
  const where = settings.path ?? `${settings.host}:${settings.port}`;
  if (name === "NotCapable" || name === "PermissionDenied" || code === "EPERM") {
    const flag = settings.path === undefined
      ? `--allow-net=${where}`
      : `--allow-read=${where} --allow-write=${where}`;
    return new ConnectError(`Cannot connect to ${where}: the program may not`, {
      code: "PERMISSION_DENIED",
      hint: `Run Deno with ${flag}`,
      cause: error,
    });
  }
  const known = reasons[code ?? ""];
  return new ConnectError(`Cannot connect to ${where}: ${known?.[0] ?? error.message}`, {
    hint: known?.[1] ?? "Check that a PostgreSQL server listens there",
    cause: error,
  });
}

const reasons: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ECONNREFUSED: [
    "nothing listens there (ECONNREFUSED)",
    "Start the server, or check host and port",
  ],
  ENOENT: ["there is no such socket (ENOENT)", "Start the server, or check `host` and `port`"],
  ENOTFOUND: ["the host name is unknown (ENOTFOUND)", "Check `host`"],
  EAI_AGAIN: ["the host name could not be looked up (EAI_AGAIN)", "Check `host` and the network"],
  ECONNRESET: ["the connection was reset (ECONNRESET)", "Check what listens there"],
};
