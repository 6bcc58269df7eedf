import { constants } from 'node:buffer';
import { binding } from '../binding';
import type { TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { StorageHandle } from '../native-interface';
import { bytesOver, fixedBytes } from './typed-array';

type Memory =
  /** Native memory that JavaScript has not seen. */
  | { kind: 'native'; handle: StorageHandle }
  /** Native memory under an ArrayBuffer. */
  | { kind: 'lent'; handle: StorageHandle; bytes: Uint8Array }
  /** Memory that V8 owns. `own` is true if it does not come from a caller. */
  | { kind: 'javascript'; bytes: Uint8Array; own: boolean }
  | { kind: 'released' };

/**
 * The memory of one or more tensors: native memory, or a caller's typed array. It counts the tensors that view it, and the last
 * one releases it. Memory that JavaScript has seen stays valid for as long as JavaScript holds it.
 */
export class Storage {
  #memory: Memory;
  #views = 0;
  readonly #byteLength: number;

  private constructor(memory: Memory, byteLength: number) {
    this.#memory = memory;
    this.#byteLength = byteLength;
  }

  static native(handle: StorageHandle, byteLength: number): Storage {
    return new Storage({ kind: 'native', handle }, byteLength);
  }

  /** Uses a caller's memory. Throws ERR_UNSUPPORTED_BUFFER for resizable and shared buffers, and ERR_DETACHED. */
  static borrow(array: TypedArray): Storage {
    const bytes = fixedBytes('data', array);
    return new Storage({ kind: 'javascript', bytes, own: false }, bytes.byteLength);
  }

  /** The number of tensors that view it. */
  get views(): number {
    return this.#views;
  }

  acquire(): this {
    this.#views += 1;
    return this;
  }

  release(): void {
    this.#views -= 1;
    if (this.#views > 0) return;
    const memory = this.#memory;
    this.#memory = { kind: 'released' };
    if (memory.kind === 'native' || memory.kind === 'lent') binding().disposeStorage(memory.handle.id);
  }

  /** The memory as an argument of native code. Throws ERR_DETACHED. */
  argument(): StorageHandle | Uint8Array {
    const memory = this.#attached();
    return memory.kind === 'javascript' ? memory.bytes : memory.handle;
  }

  /**
   * Shows host memory to JavaScript: its buffer, and the byte at which the storage starts. Throws ERR_DETACHED, or
   * ERR_OUT_OF_RANGE if JavaScript's buffers cannot be that large.
   */
  host(): { buffer: ArrayBuffer; byteOffset: number } {
    if (this.#byteLength > constants.MAX_LENGTH) {
      throw new TokenLearnerError(
        'ERR_OUT_OF_RANGE',
        `A tensor of ${this.#byteLength} bytes does not fit in an ArrayBuffer, which holds at most ${constants.MAX_LENGTH} bytes`,
      );
    }
    let memory = this.#attached();
    if (memory.kind === 'native') {
      const [buffer, lent] = binding().share(memory.handle);
      const bytes = bytesOver(buffer);
      memory = lent
        ? { kind: 'lent', handle: memory.handle, bytes }
        : { kind: 'javascript', bytes, own: true };
      this.#memory = memory;
    }
    const { bytes } = memory;
    return { buffer: bytes.buffer as ArrayBuffer, byteOffset: bytes.byteOffset };
  }

  /** True if the buffer of {@link host} belongs to the storage alone and does not come from a caller. */
  get ownsBuffer(): boolean {
    return this.#memory.kind === 'lent' || (this.#memory.kind === 'javascript' && this.#memory.own);
  }

  #attached(): Exclude<Memory, { kind: 'released' }> {
    const memory = this.#memory;
    if (memory.kind === 'released') throw detached();
    // A native storage may be longer than its tensor, so check only memory that JavaScript has seen.
    if (memory.kind !== 'native' && memory.bytes.byteLength < this.#byteLength) throw detached();
    return memory;
  }
}

function detached(): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_DETACHED',
    'The ArrayBuffer under this tensor was detached (transferred); the tensor can no longer be used',
  );
}
