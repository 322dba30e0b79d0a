/** The process of one contender and one case, from outside. */

import type { Done, Order, Ready } from "./child.ts";
import { said } from "./lines.ts";

/** Longer than any round takes; a contender that hangs must not stop the others. */
const LIMIT = 600_000;

/** The last one is what Sluice's documentation asks of servers; it is for everybody. */
const FLAGS = ["-q", "--no-check", "--unstable-no-legacy-abort"];

const child = new URL("./child.ts", import.meta.url).pathname;
const config = new URL("./deno.json", import.meta.url).pathname;

/** A process that does the work when told. */
export class ContenderProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #said: AsyncGenerator<Ready | Done>;

  /** Starts it. */
  constructor(order: Order) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", ...FLAGS, "--config", config, child, JSON.stringify(order)],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#said = said(this.#process.stdout);
  }

  /** Whether it offers the case, and where it serves. */
  ready(): Promise<Ready> {
    return this.#next() as Promise<Ready>;
  }

  /** Does the work once. */
  async round(): Promise<Done> {
    await this.#input.write(new TextEncoder().encode("go\n"));
    return await this.#next() as Done;
  }

  /** What a process says that does the work unasked. */
  started(): Promise<Done | Ready> {
    return this.#next();
  }

  async #next(): Promise<Ready | Done> {
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), LIMIT);
    try {
      const { value, done } = await this.#said.next();
      if (done) throw new Error("The process ended or hung; see what it printed");
      return value;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Lets it end, and waits for that. */
  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 10_000);
    await this.#input.close().catch(() => {});
    while (!(await this.#said.next()).done);
    await this.#process.status;
    clearTimeout(timer);
  }
}
