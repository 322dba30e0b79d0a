/**
 * Asks a server to cancel what one of its backends is doing.
 *
 * @module
 */

import type { Socket } from "node:net";
import { cancelRequest } from "./messages.ts";
import type { PostgresSettings } from "./options.ts";
import { listen, openSocket } from "./socket.ts";

/** A CancelRequest under way. */
export interface Cancellation {
  /**
   * Settles when the server has closed the request's connection, or it could not be made: from then on
   * no later statement can be hit. Never rejects.
   */
  readonly closed: Promise<void>;
  /** Stops waiting. The request may still arrive. */
  destroy(): void;
}

/** Sends a CancelRequest, as private as the connection itself. */
export function sendCancel(
  settings: PostgresSettings,
  pid: number,
  secret: Uint8Array,
): Cancellation {
  const sockets: Socket[] = [];
  let over = false;
  const destroy = () => {
    over = true;
    for (const socket of sockets) socket.destroy();
  };
  const own = (socket: Socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    if (over) socket.destroy();
  };
  return { closed: send(settings, own, cancelRequest(pid, secret)).finally(destroy), destroy };
}

async function send(
  settings: PostgresSettings,
  own: (socket: Socket) => void,
  request: Uint8Array,
): Promise<void> {
  try {
    const socket = await openSocket(settings, own);
    await new Promise<void>((resolve) => {
      listen(socket, { close: () => resolve(), end: () => resolve(), error: () => resolve() });
      socket.resume();
      socket.write(request);
    });
  } catch {
    // Not sent: the statement ends by itself, or with the connection when its grace time is over
  }
}
