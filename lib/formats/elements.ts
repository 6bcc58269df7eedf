import { endianness } from 'node:os';

import { dtypeInfo, type DType, type TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';

/** The byte order of the elements of a file. */
export type ByteOrder = 'little' | 'big';

/** The byte order of this machine. */
export const HOST_ORDER: ByteOrder = endianness() === 'LE' ? 'little' : 'big';

/** Allocates zeros. @throws TokenLearnerError ERR_OUT_OF_MEMORY */
export function allocateElements(dtype: DType, count: number): TypedArray {
  const { array, itemSize } = dtypeInfo(dtype);
  try {
    return new array(new ArrayBuffer(count * itemSize));
  } catch (cause) {
    throw new TokenLearnerError('ERR_OUT_OF_MEMORY', `Cannot allocate ${count} elements of ${dtype}`, {
      cause,
    });
  }
}

function swapBytes(buffer: Buffer, size: number): void {
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else if (size === 8) buffer.swap64();
}

function swapped(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  swapBytes(Buffer.from(copy.buffer), size);
  return copy;
}

/**
 * Converts elements of a file to this machine's representation, in place: swaps bytes if the orders differ, and turns every
 * nonzero byte of a bool into 1, since native code relies on 0 and 1.
 *
 * @param bytes - a whole number of elements
 */
export function toHost(bytes: Uint8Array, dtype: DType, order: ByteOrder): void {
  if (dtype === 'bool') {
    for (let i = 0; i < bytes.length; i += 1) if (bytes[i] !== 0) bytes[i] = 1;
    return;
  }
  const { itemSize } = dtypeInfo(dtype);
  if (order !== HOST_ORDER)
    swapBytes(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), itemSize);
}

/** The elements' bytes in little-endian order. On a little-endian machine this is a view of the same memory. */
export function littleEndianBytes(data: TypedArray): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const size = data.BYTES_PER_ELEMENT;
  return HOST_ORDER === 'little' || size === 1 ? bytes : swapped(bytes, size);
}
