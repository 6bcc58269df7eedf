import { constants } from 'node:buffer';
import { types } from 'node:util';
import { binding } from '../binding';
import type { TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { StorageHandle } from '../native-interface';
import { isDetached, memoryOf } from './typed-array';

type Memory = { kind: 'native'; handle: StorageHandle } | { kind: 'javascript'; bytes: Uint8Array };

/** Whether a buffer's memory can grow, shrink or be written by another thread under a run. */
function isUnsafe(buffer: ArrayBufferLike): boolean {
  return types.isSharedArrayBuffer(buffer) || (buffer as { resizable?: boolean }).resizable === true;
}

/**
 * The memory under one or more tensors: native memory, or a caller's typed array. It counts the tensors that view it;
 * the last one to go gives native memory back.
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
    const { buffer, byteOffset, byteLength } = memoryOf(array);
    if (isUnsafe(buffer)) {
      throw new TokenLearnerError(
        'ERR_UNSUPPORTED_BUFFER',
        'Expected a typed array over a fixed-length ArrayBuffer for `data` but received one over a ' +
          (types.isSharedArrayBuffer(buffer) ? 'SharedArrayBuffer' : 'resizable ArrayBuffer') +
          '; pass a copy (data.slice())',
      );
    }
    if (isDetached(buffer)) {
      throw new TokenLearnerError(
        'ERR_DETACHED',
        'Expected a typed array with memory for `data` but its ArrayBuffer was detached (transferred)',
      );
    }
    // Views of our own: what crosses the boundary has the length that was checked.
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    return new Storage({ kind: 'javascript', bytes }, bytes.byteLength);
  }

  acquire(): this {
    this.#views += 1;
    return this;
  }

  release(): void {
    this.#views -= 1;
    if (this.#views === 0 && this.#memory.kind === 'native') binding().disposeStorage(this.#memory.handle);
  }

  /** What crosses the boundary. Throws ERR_DETACHED. */
  argument(): StorageHandle | Uint8Array {
    return this.#memory.kind === 'native' ? this.#memory.handle : this.#attached(this.#memory.bytes);
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
    if (this.#memory.kind === 'native') {
      const native = binding();
      const buffer = native.buffer(this.#memory.handle);
      if (buffer.byteLength < this.#byteLength) throw detached();
      if (native.sharesBuffers) return { buffer, byteOffset: 0 };
      // The runtime (Electron) forbids buffers over native memory: from now on JavaScript's copy is the tensor.
      native.disposeStorage(this.#memory.handle);
      this.#memory = { kind: 'javascript', bytes: new Uint8Array(buffer) };
    }
    const bytes = this.#attached(this.#memory.bytes);
    return { buffer: bytes.buffer as ArrayBuffer, byteOffset: bytes.byteOffset };
  }

  #attached(bytes: Uint8Array): Uint8Array {
    if (bytes.byteLength !== this.#byteLength) throw detached();
    return bytes;
  }
}

function detached(): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_DETACHED',
    'The ArrayBuffer under this tensor was detached (transferred); the tensor can no longer be used',
  );
}
