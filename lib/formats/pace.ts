import { setImmediate } from 'node:timers/promises';

/** Milliseconds that a piece of work may hold the event loop before it lets others run. */
const SLICE_MS = 8;

/** Splits long work on JavaScript's thread. Call {@link Pace.pause} between pieces of at most a few milliseconds. */
export class Pace {
  #since = performance.now();

  /** Lets the event loop run once if the time slice is used up. */
  async pause(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return;
    await setImmediate();
    this.#since = performance.now();
  }
}
