/** Where a server is in its life. */
import { Problem } from './problem';

type Phase = 'starting' | 'serving' | 'draining' | 'closed';

export class Lifecycle {
  #phase: Phase = 'starting';
  #underWay = 0;
  #onIdle: (() => void) | undefined;

  get phase(): Phase {
    return this.#phase;
  }

  get isDraining(): boolean {
    return this.#phase === 'draining' || this.#phase === 'closed';
  }

  advance(phase: Phase): void {
    this.#phase = phase;
  }

  /** Throws a Problem unless the server serves. */
  demandServing(): void {
    if (this.#phase === 'starting') throw new Problem('unavailable', 'The server is not ready yet');
    if (this.#phase !== 'serving') throw new Problem('unavailable', 'The server is closing');
  }

  /** Counts a request in. Throws a Problem unless the server serves. */
  enter(): void {
    this.demandServing();
    this.#underWay += 1;
  }

  /** Counts a request out. */
  leave(): void {
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#onIdle?.();
  }

  /** Resolves to true once no request is under way, or to false after `timeoutMs`. */
  idle(timeoutMs: number): Promise<boolean> {
    if (this.#underWay === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#onIdle = undefined;
        resolve(false);
      }, timeoutMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}
