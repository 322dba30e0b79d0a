/**
 * A stream of entities: a cursor read in windows, each hydrated and completed with its relations
 * before its objects are handed out one by one.
 *
 * @module
 */

/** Where the windows come from. */
export interface WindowSource {
  /** Opens the cursor. */
  open(): Promise<void>;
  /** The objects of the next window; fewer than `window` only at the end. */
  next(): Promise<object[]>;
  /** The program is done with the objects of the last window. */
  passed(): void;
  /** Takes over what was loaded for objects of the last window; false if it has none of them. */
  adopt?(parents: readonly object[], objects: readonly object[]): boolean;
  /** Closes the cursor and gives back what it held. */
  close(): Promise<void>;
}

/**
 * Hands out the objects of a source. Calls of `next()` that overlap are served in order; leaving
 * the loop, an error and the end all close the source, once.
 */
export class SessionStream implements AsyncIterableIterator<object>, AsyncDisposable {
  readonly #source: WindowSource;
  readonly #size: number;
  #state: "new" | "open" | "done" = "new";
  #window: object[] = [];
  #at = 0;
  #last = false;
  #busy: Promise<unknown> | undefined;

  /** Reads windows of `size` objects. */
  constructor(source: WindowSource, size: number) {
    this.#source = source;
    this.#size = size;
  }

  /** Itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next object. */
  next(): Promise<IteratorResult<object>> {
    // The common case, once per object: no fetch, no queue, one promise.
    if (this.#busy === undefined && this.#at < this.#window.length) {
      return Promise.resolve({ done: false, value: this.#window[this.#at++]! });
    }
    return this.#inTurn(() => this.#advance());
  }

  /**
   * Lets go of `objects` along with the window, if they were loaded for objects of it: a loop that
   * loads relations needs no more memory than one window does. False if they were not.
   */
  adopt(parents: readonly object[], objects: readonly object[]): boolean {
    return this.#source.adopt?.(parents, objects) ?? false;
  }

  /** Ends the stream. */
  return(): Promise<IteratorResult<object>> {
    return this.#inTurn(async () => {
      await this.#finish();
      return { done: true, value: undefined };
    });
  }

  /** Ends the stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#busy === undefined ? work() : this.#busy.then(work);
    const settled = result.then(noop, noop).then(() => {
      if (this.#busy === settled) this.#busy = undefined;
    });
    this.#busy = settled;
    return result;
  }

  async #advance(): Promise<IteratorResult<object>> {
    if (this.#at < this.#window.length) return { done: false, value: this.#window[this.#at++]! };
    if (this.#state === "done") return { done: true, value: undefined };
    try {
      if (this.#state === "new") {
        this.#state = "open";
        await this.#source.open();
      }
      if (this.#window.length > 0) this.#source.passed();
      this.#window = this.#last ? [] : await this.#source.next();
      this.#at = 0;
      this.#last = this.#window.length < this.#size;
    } catch (error) {
      // The first error is the one to show; closing after it can only fail because of it.
      await this.#finish().catch(noop);
      throw error;
    }
    if (this.#window.length > 0) return { done: false, value: this.#window[this.#at++]! };
    await this.#finish();
    return { done: true, value: undefined };
  }

  async #finish(): Promise<void> {
    const opened = this.#state === "open";
    this.#state = "done";
    this.#window = [];
    this.#at = 0;
    if (opened) await this.#source.close();
  }
}

function noop(): void {}
