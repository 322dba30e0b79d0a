/** One thing lent: the pool's record of it, and the handle that the borrower gets. */

import { placeIn } from "../util/place.ts";
import type { Permit } from "./semaphore.ts";
import type { LeakReport, Lease, LeaseTask } from "./pool.ts";

/** A resource and what the pool knows of it. */
export interface Slot<T> {
  /** What is lent. */
  readonly resource: T;
  /** The pool's generation when it was made or last tested. Older than the pool's: doubtful. */
  generation: number;
  /** When it is too old to be lent again, in milliseconds since the epoch. */
  readonly recycleAt: number;
  /** Since when it lies idle, in milliseconds since the epoch. */
  idleSince: number;
  /** Its loss was counted. */
  lost: boolean;
}

/**
 * The pool's record of a lease. The pool holds the record and the borrower the handle, so that the
 * garbage collector can tell when the borrower forgot it: nothing here may lead to the handle.
 */
export class Loan<T> {
  /** What is lent. */
  readonly slot: Slot<T>;
  /** The place it takes. */
  readonly permit: Permit;
  /** When it was lent, in milliseconds since the epoch. */
  readonly since: number;
  /** What the borrower does with it. */
  note: string | undefined;
  /** What the borrower is in the middle of. */
  task: LeaseTask | undefined;
  /** It was reported as held too long. */
  reported = false;
  readonly #trace: Error | undefined;

  constructor(slot: Slot<T>, permit: Permit, since: number, trace: Error | undefined) {
    this.slot = slot;
    this.permit = permit;
    this.since = since;
    this.#trace = trace;
  }

  /** Where it was lent. Formatted only when asked for: that is the costly part of a trace. */
  get stack(): string | undefined {
    return this.#trace && placeIn(this.#trace).stack;
  }

  report(kind: LeakReport["kind"], now: number): LeakReport {
    return {
      kind,
      since: this.since,
      heldFor: now - this.since,
      note: this.note,
      stack: this.task?.stack ?? this.stack,
      task: this.task,
    };
  }
}

/** Where a handle gives its loan back. */
export interface Lender<T> {
  /** It is still lent. */
  holds(loan: Loan<T>): boolean;
  /** Takes it back. */
  takeBack(loan: Loan<T>, discard: boolean): Promise<void>;
}

/** The handle of the borrower. */
export class LoanLease<T> implements Lease<T> {
  readonly #lender: Lender<T>;
  readonly #loan: Loan<T>;

  constructor(lender: Lender<T>, loan: Loan<T>) {
    this.#lender = lender;
    this.#loan = loan;
  }

  get resource(): T {
    return this.#loan.slot.resource;
  }

  get since(): number {
    return this.#loan.since;
  }

  get stack(): string | undefined {
    return this.#loan.stack;
  }

  get released(): boolean {
    return !this.#lender.holds(this.#loan);
  }

  get note(): string | undefined {
    return this.#loan.note;
  }

  set note(note: string | undefined) {
    this.#loan.note = note;
  }

  get task(): LeaseTask | undefined {
    return this.#loan.task;
  }

  set task(task: LeaseTask | undefined) {
    this.#loan.task = task;
  }

  release(): Promise<void> {
    return this.#lender.takeBack(this.#loan, false);
  }

  discard(): Promise<void> {
    return this.#lender.takeBack(this.#loan, true);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}
