/**
 * What the parts of a session share: its objects, its turn at the one connection, its limits, and
 * what is open on it.
 *
 * @module
 */

import { ClosedError, InputError, UsageError } from "../errors.ts";
import type { Dialect } from "../dialect/dialect.ts";
import type { CallOptions } from "../dialect/driver.ts";
import type { Connection } from "../engine/connection.ts";
import { writeRefused } from "../engine/read_only.ts";
import type { ColumnChoice } from "../loading/columns.ts";
import type { PathTree } from "../loading/paths.ts";
import type { InstanceOwner } from "../mapper/instance_state.ts";
import type { Mapper } from "../mapper/mapper.ts";
import type { Registry } from "../mapper/registry.ts";
import type { Replaced } from "../unit_of_work/replaced.ts";
import { UnitOfWork } from "../unit_of_work/unit_of_work.ts";
import { didYouMean } from "../util/nearest.ts";
import { ownOptions } from "../util/own.ts";
import type { SessionStream } from "./session_stream.ts";
import type { SessionTransaction } from "./session_transaction.ts";
import { type ConnectionSource, Turnstile } from "./turnstile.ts";

/** How a session works. */
export interface SessionOptions {
  /** Inside `begin()`, a query flushes first, so that it sees your changes. Default true. */
  autoflush?: boolean | undefined;
  /** What `close()` does with changes that were never flushed. Default `"warn"`. */
  onUnflushedClose?: "warn" | "throw" | "ignore" | undefined;
  /** Gives up every statement of the session. */
  signal?: AbortSignal | undefined;
  /**
   * Writes are refused, before they are sent where that can be told: `add()`, `delete()`, a commit with
   * changes, bulk writes, statements. Default false.
   */
  readOnly?: boolean | undefined;
}

const known = ["autoflush", "onUnflushedClose", "signal", "readOnly"];
const none: SessionOptions = ownOptions({}, known);

/** The options of a session, those that the caller wrote; refuses others than there are. */
export function checkSessionOptions(options: SessionOptions): SessionOptions {
  const given = Object.keys(options);
  if (given.length === 0) return none;
  for (const name of given) {
    if (known.includes(name)) continue;
    throw new InputError(`A session has no option "${name}"`, { hint: didYouMean(name, known) });
  }
  return ownOptions(options, known);
}

/** What a session is made from. */
export interface SessionContext {
  /** Where connections come from. */
  readonly engine: ConnectionSource;
  /** The database's spelling. */
  readonly dialect: Dialect;
  /** The entities, resolved. */
  readonly registry: Registry;
}

/** Columns that objects are to have. */
export interface WantedColumns {
  /** The class that declares them. */
  readonly mapper: Mapper;
  /** Which ones. */
  readonly choice: ColumnChoice;
}

/** Loads relations of objects that the session has already. */
export interface RelationLoader {
  /** Loads a relation or columns of an object, and of those that one result gave along with it. */
  loadForPeers(object: object, tree: PathTree, columns?: WantedColumns): Promise<void>;
  /** Loads what relations held that were replaced without being loaded. */
  loadReplaced(replaced: Replaced, connection: Connection, call: CallOptions): Promise<void>;
}

/** What the objects of a session know of it. */
export interface SessionOwner extends InstanceOwner {
  /** It was closed. */
  closed: boolean;
  /** Loads their relations. */
  loader: RelationLoader | undefined;
}

const noLimits: CallOptions = { signal: undefined, timeout: undefined };

/** The state of one session. */
export class SessionCore {
  /** What it was made from. */
  readonly context: SessionContext;
  /** How it works. */
  readonly options: SessionOptions;
  /** Its turn at the connection. */
  readonly turnstile: Turnstile;
  /** Its objects. */
  readonly work: UnitOfWork;
  /** The owner of its objects. */
  readonly owner: SessionOwner = { closed: false, loader: undefined };
  /** The streams that are being read. */
  readonly streams: Set<SessionStream> = new Set();
  /** The open transaction. */
  transaction: SessionTransaction | undefined;

  /** Without objects, and without a connection. */
  constructor(context: SessionContext, options: SessionOptions) {
    this.context = context;
    this.options = options;
    this.turnstile = new Turnstile(context.engine);
    this.work = new UnitOfWork(this.owner, context.registry, context.dialect);
  }

  /** Sends what is pending, if there is something. */
  async flush(connection: Connection, call: CallOptions): Promise<void> {
    if (this.readOnly) return this.assertUnchanged();
    // Also with nothing to store; and what there is stays to be stored after the rollback.
    connection.assertUsable();
    await this.loadReplaced(connection, call);
    const plan = this.work.plan();
    if (plan === undefined) return;
    try {
      await this.work.flush(plan, connection, call);
    } catch (error) {
      // Some objects of it are written and some are not, even where the database would go on.
      connection.fail(error);
      throw error;
    }
  }

  /**
   * Before a flush: loads what is to be taken out of relations that were replaced without being loaded.
   * The flush takes its picture after that.
   */
  async loadReplaced(connection: Connection, call: CallOptions): Promise<void> {
    // What is replaced meanwhile belongs to this flush, too.
    for (let replaced; (replaced = this.work.replaced()).size > 0;) {
      this.work.noteReplaced(replaced);
      await this.owner.loader!.loadReplaced(replaced, connection, call);
    }
  }

  /** Only reading is allowed, by the session or by its open transaction. */
  get readOnly(): boolean {
    return this.options.readOnly === true || this.transaction?.readOnly === true;
  }

  /** Refuses what is to be written, where only reading is allowed. */
  assertWritable(): void {
    if (this.readOnly) throw writeRefused();
  }

  /** Refuses changes that were made where only reading is allowed. */
  assertUnchanged(): void {
    if (this.work.hasChanges) throw writeRefused();
  }

  /** Inside a transaction: flushes before a query, so that it sees the session's changes. */
  autoflush(connection: Connection, call: CallOptions): Promise<void> | undefined {
    if (!this.transaction?.tracks || this.options.autoflush === false) return undefined;
    return this.flush(connection, call);
  }

  /** The limits of a call: its own, and the session's signal. */
  limits(options: CallOptions): CallOptions {
    const own = this.options.signal;
    const timeout = Object.hasOwn(options, "timeout") ? options.timeout : undefined;
    const signal = (Object.hasOwn(options, "signal") ? options.signal : undefined) ?? own;
    if (signal === undefined) return timeout === undefined ? noLimits : { signal, timeout };
    return {
      signal: own === undefined || own === signal ? signal : AbortSignal.any([own, signal]),
      timeout,
    };
  }

  /** Refuses everything after `close()`. */
  assertOpen(): void {
    if (!this.owner.closed) return;
    throw new ClosedError("The session is closed", {
      hint: "Make a new one with engine.session()",
    });
  }

  /** Refuses locks that would end with their own statement. */
  assertLockable(): void {
    if (this.transaction !== undefined) return;
    throw new UsageError("A lock was asked for outside a transaction, where it would end at once", {
      hint: "Lock inside session.begin(async () => { … })",
    });
  }

  /** Refuses what needs the connection to itself while a transaction or a stream has it. */
  assertIdle(what: string, insideTransaction: string): void {
    if (this.transaction !== undefined) {
      throw new UsageError(`${what} was called inside a transaction`, { hint: insideTransaction });
    }
    if (this.streams.size > 0) {
      throw new UsageError(`${what} was called inside a stream's loop`, {
        hint: "Use .commitEvery(n) for long updates, or collect with .all() first",
      });
    }
  }

  /** Ends all streams. */
  async closeStreams(): Promise<void> {
    for (const stream of this.streams) await stream.return().catch(() => {});
  }
}
