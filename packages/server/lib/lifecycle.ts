/** Where a server is in its life. */
import { Problem } from './problem';

type Phase = 'starting' | 'serving' | 'draining' | 'closed';

export class Lifecycle {
  #phase: Phase = 'starting';
  #underWay = 0;
  /** Ends {@link idle}. */
  #end: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #deadline = Infinity;
  #isExpired = false;

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
    if (this.#underWay === 0) this.#end?.();
  }

  /** Makes {@link idle} give up after `timeoutMs`, or earlier where an earlier call says so. */
  limit(timeoutMs: number): void {
    const deadline = performance.now() + timeoutMs;
    if (deadline >= this.#deadline) return;
    this.#deadline = deadline;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isExpired = true;
      this.#end?.();
    }, timeoutMs);
  }

  /** Resolves to true once no request is under way, or to false at the time that {@link limit} sets. */
  idle(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#end = () => {
        clearTimeout(this.#timer);
        this.#deadline = -Infinity;
        resolve(this.#underWay === 0);
      };
      if (this.#underWay === 0 || this.#isExpired) this.#end();
    });
  }
}
