import type { AbortSignalLike } from 'tokenlearner';

/**
 * The signal of a client that goes away: the parts of an AbortSignal that a forward uses. One is made for each request, and an
 * AbortController costs as much as the rest of what a small request makes.
 */
export class Departure implements AbortSignalLike {
  aborted = false;
  reason: unknown;
  readonly #listeners = new Set<() => void>();

  /** Calls the listeners, the first time. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    for (const listener of [...this.#listeners]) listener();
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }
}
