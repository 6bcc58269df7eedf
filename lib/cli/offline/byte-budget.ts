/** Bounds the bytes that are held at a time. */
export class ByteBudget {
  readonly #limit: number;
  #held = 0;
  readonly #waiting: { bytes: number; begin: () => void }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Waits for room, in the order of the calls. More than the limit waits until nothing else is held. */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#held += bytes;
      return;
    }
    await new Promise<void>((resolve) => {
      this.#waiting.push({ bytes, begin: resolve });
    });
  }

  give(bytes: number): void {
    this.#held -= bytes;
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#held += next.bytes;
      next.begin();
    }
  }

  #fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= this.#limit;
  }
}
