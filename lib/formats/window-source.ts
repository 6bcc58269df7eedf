import type { ByteSource } from './byte-source';

/** Bytes read at once for small requests. */
const WINDOW_BYTES = 2 ** 18;
/** Larger requests bypass the window. */
const SMALL_BYTES = 2 ** 16;

/**
 * A source that caches the part it read last. The directory of an archive, and the records of small tensors, are pieces of tens
 * of bytes in sequence. Without the cache each would be a read of its own.
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

  /** Calls must not overlap: await one before the next. */
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
    // Mark the window as empty while it is filled, so that a failed read leaves no wrong bytes in it.
    [this.#start, this.#end] = [0, 0];
    await this.#source.read(this.#window, start);
    [this.#start, this.#end] = [start, start + this.#window.byteLength];
  }
}
