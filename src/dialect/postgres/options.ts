/**
 * What a user can say about a PostgreSQL connection, and the complete settings made of it.
 *
 * @module
 */

import { ConfigError } from "../../errors.ts";
import { withoutPrototype } from "../../util/own.ts";

/**
 * How far TLS goes. `disable`: plain text. `require`: encrypted, the server's certificate is not
 * checked. `verify-ca`: it must be signed by a known authority. `verify-full`: and bear the host's
 * name. There is no mode that falls back to plain text.
 */
export type TlsMode = "disable" | "require" | "verify-ca" | "verify-full";

/** TLS in detail. */
export interface PostgresTls {
  /** How far to check. Default `verify-full`. */
  readonly mode?: TlsMode | undefined;
  /** Authorities to trust, as PEM. Default: the runtime's own list. */
  readonly ca?: string | readonly string[] | undefined;
  /** Our certificate, as PEM, where the server asks for one. */
  readonly cert?: string | undefined;
  /** The key of `cert`, as PEM. */
  readonly key?: string | undefined;
  /** The name that the server's certificate must bear. Default: the host. */
  readonly servername?: string | undefined;
}

/** Where a PostgreSQL server is, and how to talk to it. No `PG*` environment variable is read. */
export interface PostgresConfig {
  /** A host name or address, or the directory of a Unix socket (`/var/run/postgresql`). Default `localhost`. */
  readonly host?: string | undefined;
  /** Default 5432. */
  readonly port?: number | undefined;
  /** The role to connect as. */
  readonly user: string;
  /** Its password, or a function giving one for each new connection (tokens that expire). */
  readonly password?: string | (() => string | Promise<string>) | undefined;
  /** Default: the name of the user. */
  readonly database?: string | undefined;
  /** A mode, or TLS in detail. Default `disable`. */
  readonly tls?: TlsMode | PostgresTls | undefined;
  /** What the server's `pg_stat_activity` calls us. Default `sluice`. */
  readonly applicationName?: string | undefined;
  /** Schemas to look names up in, in order. Default: the server's setting. */
  readonly searchPath?: readonly string[] | undefined;
  /**
   * Further settings of the session, by name, such as `statement_timeout: "5s"`. Those that our
   * decoders rely on (date, interval and number formats, the time zone, the encoding) cannot be changed.
   */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** Longest time to make a connection, in milliseconds, handshakes included. Default 10,000. */
  readonly connectTimeout?: number | undefined;
  /**
   * How long a statement that was cancelled may take to end, in milliseconds, before its connection is
   * given up. Default 1,500.
   */
  readonly cancelGrace?: number | undefined;
  /** Longest time for a polite end of the connection, in milliseconds. Default 5,000. */
  readonly closeTimeout?: number | undefined;
  /**
   * Keep statements prepared on the connection. Default true; false behind a pooler that changes the
   * server's connection between transactions (PgBouncer in transaction mode).
   */
  readonly prepared?: boolean | undefined;
  /**
   * The number of statements kept prepared on one connection; what comes later is sent unprepared.
   * Default 500.
   */
  readonly maxPrepared?: number | undefined;
  /** Idle time before the first TCP keep-alive probe, in milliseconds; 0 for none. Default 60,000. */
  readonly keepAlive?: number | undefined;
  /**
   * Who speaks with the server once it has let us in: we ourselves (`own`), or npm `postgres`
   * (`driver`). Both give the same; `own` is faster. Default `own`.
   */
  readonly wire?: WireProtocol | undefined;
}

/** Who speaks with the server: we ourselves, or npm `postgres`. */
export type WireProtocol = "own" | "driver";

/** A `PostgresConfig` with every choice made. */
export interface PostgresSettings {
  /** Host name, address or socket directory. */
  readonly host: string;
  /** TCP port, also part of a Unix socket's name. */
  readonly port: number;
  /** Path of the Unix socket, if it is one. */
  readonly path: string | undefined;
  /** The role. */
  readonly user: string;
  /** Gives the password for one connection. */
  readonly password: () => string | Promise<string>;
  /** The database. */
  readonly database: string;
  /** TLS, or undefined for plain text. */
  readonly tls: (PostgresTls & { readonly mode: Exclude<TlsMode, "disable"> }) | undefined;
  /** What the startup message says. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly connectTimeout: number;
  /** Milliseconds. */
  readonly cancelGrace: number;
  /** Milliseconds. */
  readonly closeTimeout: number;
  /** Whether statements stay prepared. */
  readonly prepared: boolean;
  /** How many of them. */
  readonly maxPrepared: number;
  /** Milliseconds, or 0. */
  readonly keepAlive: number;
  /** Who speaks. */
  readonly wire: WireProtocol;
  /** `postgres://user@host:port/database`, for messages. */
  readonly target: string;
}

/** The session settings that our decoders rely on, whatever the server's defaults are. */
const pinned: Readonly<Record<string, string>> = {
  client_encoding: "UTF8",
  DateStyle: "ISO, YMD",
  IntervalStyle: "iso_8601",
  TimeZone: "UTC",
  bytea_output: "hex",
  extra_float_digits: "1",
};

const pinnedNames: ReadonlySet<string> = new Set(Object.keys(pinned).map((n) => n.toLowerCase()));
const modes: ReadonlySet<string> = new Set(["disable", "require", "verify-ca", "verify-full"]);
const keys: ReadonlySet<string> = new Set([
  "host",
  "port",
  "user",
  "password",
  "database",
  "tls",
  "applicationName",
  "searchPath",
  "parameters",
  "connectTimeout",
  "cancelGrace",
  "closeTimeout",
  "prepared",
  "maxPrepared",
  "keepAlive",
  "wire",
]);

/** Checks a config and fills in the defaults. */
export function settingsOf(given: PostgresConfig): PostgresSettings {
  const config = withoutPrototype(given);
  for (const key of Object.keys(config)) {
    if (!keys.has(key)) {
      throw new ConfigError(`Unknown PostgreSQL option "${key}"`, {
        hint: `Known are ${[...keys].join(", ")}`,
      });
    }
  }
  const host = text("host", config.host ?? "localhost");
  const port = whole("port", config.port ?? 5432, 1, 65_535);
  const user = text("user", config.user);
  const database = text("database", config.database ?? user);
  const password = config.password ?? "";
  if (typeof password !== "string" && typeof password !== "function") {
    throw new ConfigError("`password` must be a string or a function giving one");
  }
  const place = host.includes(":") && !host.startsWith("/") ? `[${host}]` : host;
  return {
    host,
    port,
    path: host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : undefined,
    user,
    password: typeof password === "string" ? () => password : password,
    database,
    tls: tlsOf(config.tls ?? "disable"),
    parameters: parametersOf(config, user, database),
    connectTimeout: whole("connectTimeout", config.connectTimeout ?? 10_000, 1),
    cancelGrace: whole("cancelGrace", config.cancelGrace ?? 1_500, 1),
    closeTimeout: whole("closeTimeout", config.closeTimeout ?? 5_000, 1),
    prepared: config.prepared ?? true,
    maxPrepared: whole("maxPrepared", config.maxPrepared ?? 500, 0),
    keepAlive: whole("keepAlive", config.keepAlive ?? 60_000, 0),
    wire: wireOf(config.wire ?? defaultWire),
    target: `postgres://${user}@${place}:${port}/${database}`,
  };
}

let defaultWire: WireProtocol = "own";

/** Changes the protocol of those who say nothing, so that a whole test-suite can run by either. */
export function useWire(wire: WireProtocol): void {
  defaultWire = wireOf(wire);
}

function wireOf(value: unknown): WireProtocol {
  if (value === "own" || value === "driver") return value;
  throw new ConfigError('`wire` must be "own" or "driver"');
}

function parametersOf(
  config: PostgresConfig,
  user: string,
  database: string,
): Readonly<Record<string, string>> {
  const parameters: Record<string, string> = { user, database, ...pinned };
  parameters.application_name = text("applicationName", config.applicationName ?? "sluice");
  if (config.searchPath !== undefined) {
    parameters.search_path = config.searchPath
      .map((name) => `"${text("searchPath", name).replaceAll('"', '""')}"`)
      .join(", ");
  }
  for (const [name, value] of Object.entries(config.parameters ?? {})) {
    if (pinnedNames.has(name.toLowerCase()) || name === "user" || name === "database") {
      throw new ConfigError(`The session parameter "${name}" cannot be changed`, {
        hint: "Values are decoded by it; convert in SQL or in the program instead",
      });
    }
    parameters[text("parameters", name)] = text(`parameters.${name}`, value);
  }
  return parameters;
}

function tlsOf(tls: TlsMode | PostgresTls): PostgresSettings["tls"] {
  const details: PostgresTls = typeof tls === "string" ? { mode: tls } : withoutPrototype(tls);
  const mode = details.mode ?? "verify-full";
  if (!modes.has(mode)) {
    throw new ConfigError(`Unknown TLS mode "${mode}"`, {
      hint: `Known are ${[...modes].join(", ")}`,
    });
  }
  return mode === "disable" ? undefined : { ...details, mode };
}

function text(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "" && !value.includes("\0")) return value;
  throw new ConfigError(`\`${name}\` must be a string that is not empty and has no NUL in it`);
}

function whole(name: string, value: unknown, from: number, to = 2 ** 31 - 1): number {
  if (Number.isInteger(value) && (value as number) >= from && (value as number) <= to) {
    return value as number;
  }
  throw new ConfigError(`\`${name}\` must be a whole number between ${from} and ${to}`);
}
