/**
 * The statements that a body of code sends, seen where they leave for the database: wrap a driver,
 * give it to the engine, and count.
 */

import type { Driver, DriverConnection, DriverCursor } from "../../src/dialect/driver.ts";

/** What was sent over a driver, in order: texts of statements, and `begin`, `commit`, `fetch 500`, … */
export class StatementLog {
  readonly #entries: string[] = [];
  /** The driver to use in place of the one that was given. */
  readonly driver: Driver;

  constructor(driver: Driver) {
    this.driver = intercept(driver, {
      connect: async (options) => this.#watch(await driver.connect(options)),
    });
  }

  /** Everything sent so far. */
  get all(): readonly string[] {
    return [...this.#entries];
  }

  /** The statements alone, without the beginnings and ends of transactions and cursors' fetches. */
  get statements(): readonly string[] {
    return this.#entries.filter((entry) => !/^(begin|commit|rollback|ping|fetch \d+)$/.test(entry));
  }

  /** What `body` sends, `begin` and the like included. */
  async during(body: () => Promise<unknown>): Promise<readonly string[]> {
    const before = this.#entries.length;
    await body();
    return this.#entries.slice(before);
  }

  /** Forgets what was sent so far. */
  clear(): void {
    this.#entries.length = 0;
  }

  #watch(connection: DriverConnection): DriverConnection {
    const note = (entry: string) => void this.#entries.push(entry);
    return intercept(connection, {
      run: (statement, options) => (note(statement.text), connection.run(statement, options)),
      begin: (options, call) => (note("begin"), connection.begin(options, call)),
      commit: (call) => (note("commit"), connection.commit(call)),
      rollback: (call) => (note("rollback"), connection.rollback(call)),
      ping: (options) => (note("ping"), connection.ping(options)),
      openCursor: async (statement, options) => {
        note(statement.text);
        const cursor = await connection.openCursor(statement, options);
        return intercept<DriverCursor>(cursor, {
          fetch: (count, call) => (note(`fetch ${count}`), cursor.fetch(count, call)),
        });
      },
      ...(connection.copyIn && {
        copyIn: (text, source, options) => (note(text), connection.copyIn!(text, source, options)),
      }),
      ...(connection.copyOut && {
        copyOut: (text, options) => (note(text), connection.copyOut!(text, options)),
      }),
    });
  }
}

/** `target`, but for some methods. What it keeps in private fields stays reachable for its own. */
function intercept<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (Object.hasOwn(methods, key)) return Reflect.get(methods, key);
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" && key !== "onLost" ? value.bind(target) : value;
    },
    set: (_, key, value) => Reflect.set(target, key, value, target),
  });
}
