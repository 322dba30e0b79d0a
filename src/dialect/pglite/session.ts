/** The one session of a PGlite instance: requests, answers, and the statements kept prepared. */

import { Buffer } from "node:buffer";
import { InputError } from "../../errors.ts";
import type { DriverColumn, DriverResult, DriverStatement, TransactionStatus } from "../driver.ts";
import { databaseErrorFromFields, isStalePlan } from "../postgres/errors.ts";
import {
  type Answer,
  copyData,
  copyDone,
  copyFail,
  describe,
  execute,
  forget,
  parse,
  query,
  readAnswer,
  sync,
} from "./protocol.ts";

/** What is used of PGlite. An instance of `PGlite` is one. */
export interface PGliteInstance {
  /** Sends protocol messages and gives the answer. */
  execProtocolRawSync(message: Uint8Array): Uint8Array;
  /** Runs `task` while nobody else uses the instance. */
  runExclusive<T>(task: () => Promise<T>): Promise<T>;
  /** Writes to the file system what must not be lost. */
  syncToFs(): Promise<void>;
  /** Closes the database. */
  close(): Promise<void>;
}

/** The settings that our decoders rely on, the same as for a PostgreSQL server. */
const settings = "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; " +
  "SET TimeZone = 'UTC'; SET bytea_output = 'hex'; SET extra_float_digits = 1";

interface Kept {
  readonly name: string;
  readonly columns: readonly DriverColumn[];
}

let made = 0;

/** One connection's session. */
export class Session {
  readonly #instance: PGliteInstance;
  readonly #shared: boolean;
  readonly #limit: number;
  readonly #prefix = `sluice_${++made}_`;
  readonly #kept = new Map<string, Kept>();
  #named = 0;
  #status: TransactionStatus = "idle";
  #over: Error | undefined;

  /** `shared`: others use the instance too, so each request waits for them. */
  constructor(instance: PGliteInstance, shared: boolean, limit: number) {
    this.#instance = instance;
    this.#shared = shared;
    this.#limit = limit;
  }

  /** Where the session stands, as the last answer said. */
  get status(): TransactionStatus {
    return this.#status;
  }

  /** Begins: an own instance is as new, a shared one only gets its settings. */
  async start(): Promise<void> {
    await this.simple("ROLLBACK");
    if (!this.#shared) await this.simple("DISCARD ALL");
    await this.simple(settings);
  }

  /** Ends: nothing of this session is left in the instance. */
  async end(): Promise<void> {
    if (this.#status !== "idle") await this.simple("ROLLBACK");
    const names = [...this.#kept.values()].map((kept) => forget(kept.name));
    this.#kept.clear();
    if (names.length > 0) await this.#exchange([...names, sync]);
  }

  /** Sends nothing from now on: a call that is still under way must not reach the next session. */
  cut(reason: Error): void {
    this.#over = reason;
    this.#status = "idle";
  }

  /** Sends a statement of our own, without values; gives the command tag. */
  async simple(text: string): Promise<string> {
    const { error, tag } = await this.#exchange([query(text)]);
    if (error) throw databaseErrorFromFields(error, text);
    return tag;
  }

  /** Runs one statement. */
  async run(statement: DriverStatement): Promise<DriverResult> {
    const { text } = statement;
    checkText(text, "The statement's text");
    const values = checkValues(statement.params);
    const before = this.#status;
    const kept = this.#kept.get(text);
    let answer =
      await (kept
        ? this.#exchange([execute(kept.name, values), sync])
        : this.#prepareAndRun(statement, values));
    if (kept && answer.error && isStalePlan(answer.error)) {
      this.#kept.delete(text);
      // In a transaction the error has already failed it; outside, nothing has happened yet.
      if (before === "idle") answer = await this.#prepareAndRun(statement, values);
    }
    if (answer.error) throw databaseErrorFromFields(answer.error, text);
    if (answer.tag === "") {
      throw new InputError("The statement is empty", { hint: "Give one SQL statement" });
    }
    if (answer.copied.length > 0) {
      throw new InputError("COPY … TO STDOUT was sent as a statement", { hint: "Use copyOut()" });
    }
    await this.#noticeReset(answer.tag);
    const [command = ""] = answer.tag.split(" ", 1);
    const columns = answer.columns ?? kept?.columns ?? [];
    const rowCount = columns.length > 0 ? answer.rows.length : countOf(answer.tag);
    return { rows: answer.rows, columns, rowCount, command };
  }

  /** Runs a `COPY … FROM STDIN` with all its data; gives the number of rows. */
  async copyIn(text: string, data: readonly Uint8Array[]): Promise<number> {
    const parts = data.map(copyData);
    const { error, tag } = await this.#exchange([
      parse("", text),
      execute("", []),
      ...parts,
      copyDone,
      sync,
    ]);
    if (error) throw databaseErrorFromFields(error, text);
    return countOf(tag);
  }

  /** Begins a `COPY … FROM STDIN` and breaks it off, which fails the open transaction. */
  async breakCopy(text: string, reason: string): Promise<void> {
    await this.#exchange([parse("", text), execute("", []), copyFail(reason), sync]);
  }

  /** Runs a `COPY … TO STDOUT`; gives all of its output. */
  async copyOut(text: string): Promise<Uint8Array[]> {
    const { error, copied } = await this.#exchange([
      parse("", text),
      execute("", []),
      copyFail("this COPY reads"),
      sync,
    ]);
    if (error) throw databaseErrorFromFields(error, text);
    return copied;
  }

  async #prepareAndRun(
    statement: DriverStatement,
    values: readonly (string | null)[],
  ): Promise<Answer> {
    const { text } = statement;
    const keep = statement.prepare !== false && this.#limit > 0;
    const name = keep ? this.#prefix + ++this.#named : "";
    const request = [parse(name, text), describe(name), execute(name, values)];
    if (keep && this.#kept.size >= this.#limit) {
      const [oldest] = this.#kept;
      this.#kept.delete(oldest![0]);
      request.unshift(forget(oldest![1].name));
    }
    // COPY FROM STDIN would wait for data that cannot come, and end the instance. Anything else
    // ignores this message.
    if (/\bcopy\b/i.test(text)) request.push(copyFail("use copyIn()"));
    request.push(sync);
    const answer = await this.#exchange(request);
    if (keep && answer.prepared) this.#kept.set(text, { name, columns: answer.columns ?? [] });
    return answer;
  }

  /** Statements that undo what a session rests on. */
  async #noticeReset(tag: string): Promise<void> {
    if (tag === "DISCARD ALL" || tag.startsWith("DEALLOCATE") || tag === "DISCARD PLANS") {
      this.#kept.clear();
    }
    if (tag === "DISCARD ALL" || tag === "RESET") await this.simple(settings);
  }

  async #exchange(messages: readonly Uint8Array[]): Promise<Answer> {
    const request = Buffer.concat(messages);
    const send = () => {
      if (this.#over) throw this.#over;
      return readAnswer(this.#instance.execProtocolRawSync(request));
    };
    const answer = this.#shared
      ? await this.#instance.runExclusive(async () => {
        const answer = send();
        await this.#instance.syncToFs();
        return answer;
      })
      : send();
    this.#status = answer.status;
    return answer;
  }
}

/**
 * Refuses text that PostgreSQL would refuse or change.
 *
 * @throws {InputError}
 */
export function checkText(text: string, what: string): void {
  if (text.includes("\0")) {
    throw new InputError(`${what} contains a NUL character`, {
      hint: "PostgreSQL cannot store NUL in text; remove it or use bytea",
    });
  }
  if (!text.isWellFormed()) {
    throw new InputError(`${what} contains a lone surrogate`, {
      hint: "It would be stored as U+FFFD; call toWellFormed() if that is wanted",
    });
  }
}

function checkValues(params: DriverStatement["params"]): (string | null)[] {
  if (params.length > 65_535) {
    throw new InputError(`The statement has ${params.length} values; the protocol takes 65535`, {
      hint: "Bind arrays, or split the statement",
    });
  }
  return params.map((value, i) => {
    if (typeof value === "string") checkText(value, `Parameter $${i + 1}`);
    else if (value !== null) {
      throw new InputError(`Parameter $${i + 1} is of type ${typeof value}`, {
        hint: "PostgreSQL's wire takes text or null; encode the value first",
      });
    }
    return value;
  });
}

/** `INSERT 0 5` → 5, `CREATE TABLE` → 0. */
function countOf(tag: string): number {
  const count = Number(tag.slice(tag.lastIndexOf(" ") + 1));
  return Number.isInteger(count) ? count : 0;
}
