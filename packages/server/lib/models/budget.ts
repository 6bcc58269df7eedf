/** The bytes of request bodies that are on their way in, beside those that wait in the queue. */
import { Problem } from '../problem';

/** Room for one request's input. */
export class Reservation {
  #bytes = 0;
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Makes room for `bytes` in all. Throws a Problem if there is none. */
  grow(bytes: number): void {
    if (bytes <= this.#bytes) return;
    this.#budget.take(bytes - this.#bytes, bytes);
    this.#bytes = bytes;
  }

  /** Idempotent. */
  release(): void {
    this.#budget.give(this.#bytes);
    this.#bytes = 0;
  }
}

/** The limit of a model's input bytes: those that arrive and those that wait. */
export class Budget {
  #arriving = 0;
  readonly #limit: number;
  readonly #waiting: (exact: boolean) => number;

  /** @param waiting - the bytes in the queue; not `exact` may be too many. */
  constructor(limit: number, waiting: (exact: boolean) => number) {
    this.#limit = limit;
    this.#waiting = waiting;
  }

  /** @param bytes - the size that the request states; 0 if it states none. */
  reserve(bytes: number): Reservation {
    const reservation = new Reservation(this);
    reservation.grow(bytes);
    return reservation;
  }

  take(bytes: number, total: number): void {
    if (total > this.#limit)
      throw new Problem(
        'too-large',
        `An input of ${total} bytes is larger than the queue, ${this.#limit} bytes`,
      );
    const isFull = (exact: boolean): boolean => this.#arriving + this.#waiting(exact) + bytes > this.#limit;
    if (isFull(false) && isFull(true)) throw new Problem('busy', 'The queue is full; try again later');
    this.#arriving += bytes;
  }

  give(bytes: number): void {
    this.#arriving -= bytes;
  }
}
