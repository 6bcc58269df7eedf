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
  /** Memory that V8 owns: a caller's, or `own`, which no caller gave. */
  | { kind: 'javascript'; bytes: Uint8Array; own: boolean }
  | { kind: 'released' };

/**
 * The memory under one or more tensors: native memory, or a caller's typed array. It counts the tensors that view it;
 * the last one to go lets go of it. What JavaScript has seen of it stays valid for as long as JavaScript holds it.
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

  /** Throws ERR_UNSUPPORTED_BUFFER for resizable and shared buffers, and ERR_DETACHED. */
  static borrow(array: TypedArray): Storage {
    const bytes = fixedBytes('data', array);
    return new Storage({ kind: 'javascript', bytes, own: false }, bytes.byteLength);
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
    if (memory.kind === 'native' || memory.kind === 'lent') binding().disposeStorage(memory.handle);
  }

  /** Whether JavaScript has not seen the memory. */
  get isHidden(): boolean {
    return this.#memory.kind === 'native';
  }

  /** What crosses the boundary. Throws ERR_DETACHED. */
  argument(): StorageHandle | Uint8Array {
    const memory = this.#attached();
    return memory.kind === 'javascript' ? memory.bytes : memory.handle;
  }

  /**
   * The buffer under host memory and the byte where the storage begins in it. Throws ERR_DETACHED, and ERR_OUT_OF_RANGE
   * where JavaScript has no buffers of that size.
   */
  host(): { buffer: ArrayBuffer; byteOffset: number } {
    if (this.#byteLength > constants.MAX_LENGTH) {
      throw new TokenLearnerError(
        'ERR_OUT_OF_RANGE',
        `A tensor of ${this.#byteLength} bytes is larger than an ArrayBuffer can be here (${constants.MAX_LENGTH} bytes)`,
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

  /** Whether {@link host}'s buffer belongs to the storage alone, no caller having brought it. */
  get ownsBuffer(): boolean {
    return this.#memory.kind === 'lent' || (this.#memory.kind === 'javascript' && this.#memory.own);
  }

  #attached(): Exclude<Memory, { kind: 'released' }> {
    const memory = this.#memory;
    if (memory.kind === 'released') throw detached();
    // Native storages may be longer than the tensor that came with them.
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
