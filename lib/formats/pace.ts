import { setImmediate } from 'node:timers/promises';

/** How long a piece of work may hold the event loop before others get a turn, in milliseconds. */
const SLICE_MS = 8;

/** Splits long work on JavaScript's thread: call {@link Pace.pause} between pieces of a few milliseconds at most. */
export class Pace {
  #since = performance.now();

  /** Lets the event loop turn once where the slice is used up. */
  async pause(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return;
    await setImmediate();
    this.#since = performance.now();
  }
}
