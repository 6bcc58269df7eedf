import type { ByteSource } from './byte-source';

/** How much is read at once where little is asked for. */
const WINDOW_BYTES = 2 ** 18;
/** What is read on its own: more than this. */
const SMALL_BYTES = 2 ** 16;

/**
 * A source that keeps the part of it that was read last. An archive's directory, and the records of small tensors, are tens of bytes that lie one after
 * the other: each would be a read of its own.
 */
export class WindowSource implements ByteSource {
  readonly #source: ByteSource;
  readonly #window: Uint8Array;
  #start = 0;
  #end = 0;

  constructor(source: ByteSource) {
    this.#source = source;
    this.#window = new Uint8Array(Math.min(WINDOW_BYTES, source.size));
  }

  get size(): number {
    return this.#source.size;
  }

  /** Calls follow one another: the next begins when the one before is done. */
  async read(target: Uint8Array, position: number): Promise<void> {
    const end = position + target.byteLength;
    if (target.byteLength > SMALL_BYTES || end > this.size) {
      await this.#source.read(target, position);
      return;
    }
    if (position < this.#start || end > this.#end) await this.#move(position);
    target.set(this.#window.subarray(position - this.#start, end - this.#start));
  }

  async #move(position: number): Promise<void> {
    const start = Math.min(position, this.size - this.#window.byteLength);
    // Nothing is in it while it is filled, so that a read that fails leaves nothing wrong behind.
    [this.#start, this.#end] = [0, 0];
    await this.#source.read(this.#window, start);
    [this.#start, this.#end] = [start, start + this.#window.byteLength];
  }
}
