/**
 * Opens a connection. Its server takes some milliseconds to make a process and let us in: the code that
 * speaks with it afterwards is loaded meanwhile, by the first connection of the program.
 *
 * @module
 */

import type { CallOptions } from "../driver.ts";
import { caught } from "../../util/caught.ts";
import type { Call } from "./call.ts";
import type { PostgresConnection } from "./connection.ts";
import { handshake, type Session } from "./handshake.ts";
import type { PostgresSettings } from "./options.ts";
import type { Protocol } from "./protocol.ts";

/** Makes a connection. Rejects with `ConnectError`, or with the signal's reason. */
export async function openConnection(
  settings: PostgresSettings,
  options?: CallOptions,
): Promise<PostgresConnection> {
  let loading: ReturnType<typeof load> | undefined;
  let session: Session;
  try {
    session = await handshake(settings, options, () => loading = caught(load(settings)));
  } catch (error) {
    // So that nothing of the attempt is left when it is said to have failed
    await loading?.catch(() => {});
    throw error;
  }
  const [{ PostgresConnection: Connection }, protocol] = await loading!;
  return new Connection(settings, session, protocol);
}

/** What speaks on the connection. */
function load(
  settings: PostgresSettings,
): Promise<[typeof import("./connection.ts"), Protocol<Call>]> {
  return Promise.all([import("./connection.ts"), openProtocol(settings)]);
}

/** The npm driver is loaded only where it is asked for. */
async function openProtocol({ wire }: PostgresSettings): Promise<Protocol<Call>> {
  if (wire === "driver") {
    const { NpmPostgres } = await import("./npm_postgres.ts");
    return await NpmPostgres.open<Call>();
  }
  const { OwnProtocol } = await import("./own_protocol.ts");
  return new OwnProtocol<Call>();
}
