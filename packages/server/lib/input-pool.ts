/** Native memory for inputs, used again: allocating 256 KiB costs more than all other work on a request. */
import { type AnyTensor, type FloatDType, Tensor } from 'tokenlearner';
import { bytesOf, dtypeOf, elementSize } from './datatypes';
import { count } from './values';

/** The smallest piece of memory, in bytes. */
const SMALLEST = 4096;

/** A tensor over a piece of memory, and the bytes of its elements. */
export interface InputMemory {
  tensor: AnyTensor;
  bytes: Buffer;
  /** Gives the memory back. `reusable` is false where a run may still read it: it is then freed once nothing uses it. */
  release(reusable: boolean): void;
}

interface Piece {
  key: string;
  /** All of the piece, flat. */
  flat: AnyTensor;
  bytes: Buffer;
}

/** Pieces have the next power of two of the size that was asked for, so that mixed sizes share them. */
export class InputPool {
  readonly #mostBytes: number;
  readonly #idle = new Map<string, Piece[]>();
  #idleBytes = 0;

  /** @param mostBytes - the most memory to keep for later. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Memory for a datatype and shape that were checked. Its content is undefined. Throws ERR_OUT_OF_MEMORY. */
  allocate(datatype: string, shape: readonly number[]): InputMemory {
    const elements = count(shape);
    const piece = this.#take(datatype, elements * elementSize(datatype));
    const part = piece.flat.narrow(0, 0, elements);
    const tensor = part.view([...shape]);
    part.dispose();
    let isReleased = false;
    return {
      tensor,
      bytes: piece.bytes.subarray(0, elements * elementSize(datatype)),
      release: (reusable) => {
        if (isReleased) return;
        isReleased = true;
        tensor.dispose();
        if (reusable) this.#give(piece);
        else piece.flat.dispose();
      },
    };
  }

  #take(datatype: string, bytes: number): Piece {
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, SMALLEST)));
    const key = `${datatype} ${size}`;
    const idle = this.#idle.get(key)?.pop();
    if (idle !== undefined) {
      this.#idleBytes -= size;
      return idle;
    }
    const flat = Tensor.empty([size / elementSize(datatype)], { dtype: dtypeOf(datatype) as FloatDType });
    return { key, flat, bytes: bytesOf(flat.data) };
  }

  #give(piece: Piece): void {
    const { key, flat, bytes } = piece;
    if (this.#idleBytes + bytes.length > this.#mostBytes) {
      flat.dispose();
      return;
    }
    this.#idleBytes += bytes.length;
    const idle = this.#idle.get(key);
    if (idle === undefined) this.#idle.set(key, [piece]);
    else idle.push(piece);
  }

  /** Frees what is idle. */
  clear(): void {
    for (const pieces of this.#idle.values()) for (const { flat } of pieces) flat.dispose();
    this.#idle.clear();
    this.#idleBytes = 0;
  }
}
