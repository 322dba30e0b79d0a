/**
 * The statements that a body of code sends, seen where they leave for the database: wrap a driver,
 * give it to the engine, and count.
 */

import type { Driver, DriverConnection, DriverCursor } from "../../src/dialect/driver.ts";

/** What was sent over a driver, in order: texts of statements, and `begin`, `commit`, `fetch 500`, … */
export class StatementLog {
  readonly #entries: string[] = [];
  #waits = 0;
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

  /** How often something was sent while nothing else was under way: what distance costs. */
  get roundTrips(): number {
    return this.#waits;
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
    let flying = 0;
    const sent = <T>(entry: string, call: () => Promise<T>): Promise<T> => {
      this.#entries.push(entry);
      if (flying++ === 0) this.#waits++;
      const answer = call();
      const landed = (): void => void flying--;
      answer.then(landed, landed);
      return answer;
    };
    return intercept(connection, {
      run: (statement, options) => sent(statement.text, () => connection.run(statement, options)),
      begin: (options, call) => sent("begin", () => connection.begin(options, call)),
      commit: (call) => sent("commit", () => connection.commit(call)),
      rollback: (call) => sent("rollback", () => connection.rollback(call)),
      ping: (options) => sent("ping", () => connection.ping(options)),
      openCursor: async (statement, options) => {
        const cursor = await sent(
          statement.text,
          () => connection.openCursor(statement, options),
        );
        return intercept<DriverCursor>(cursor, {
          fetch: (count, call) => sent(`fetch ${count}`, () => cursor.fetch(count, call)),
        });
      },
      ...(connection.copyIn && {
        copyIn: (text, source, options) =>
          sent(text, () => connection.copyIn!(text, source, options)),
      }),
      ...(connection.copyOut && {
        copyOut: (text, options) => {
          this.#entries.push(text);
          return connection.copyOut!(text, options);
        },
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
