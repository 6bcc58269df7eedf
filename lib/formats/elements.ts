import { endianness } from 'node:os';

import { dtypeInfo, type DType, type TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';

/** The order of the bytes of one element in a file. */
export type ByteOrder = 'little' | 'big';

/** The order in which this machine keeps the bytes of a number. */
export const HOST_ORDER: ByteOrder = endianness() === 'LE' ? 'little' : 'big';

/** The number of elements of a shape; Infinity where a partial product leaves the exact integers (2^53 - 1). */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (!Number.isSafeInteger(count)) return Infinity;
  }
  return count;
}

/** Zeros. @throws TokenLearnerError ERR_OUT_OF_MEMORY */
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

function swapped(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  const buffer = Buffer.from(copy.buffer);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else buffer.swap64();
  return copy;
}

/** Files may hold any byte in a bool; native code relies on 0 and 1, and every other byte means true. */
function normalisedBools(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes.some((byte) => byte > 1) ? Uint8Array.from(bytes, (byte) => (byte === 0 ? 0 : 1)) : bytes;
}

/**
 * Shows bytes of a file as elements: a view on the same memory where byte order and alignment allow it
 * (and, for bool, where every byte is 0 or 1), a copy otherwise.
 *
 * @param bytes - a whole number of elements
 */
export function elementsFromBytes(
  bytes: Uint8Array<ArrayBuffer>,
  dtype: DType,
  order: ByteOrder,
): TypedArray {
  const { array, itemSize } = dtypeInfo(dtype);
  let source = bytes;
  if (dtype === 'bool') source = normalisedBools(bytes);
  else if (itemSize > 1 && order !== HOST_ORDER) source = swapped(bytes, itemSize);
  else if (bytes.byteOffset % itemSize !== 0) source = new Uint8Array(bytes);
  return new array(source.buffer, source.byteOffset, bytes.byteLength / itemSize);
}

/** The elements' bytes in little-endian order: a view on the same memory on a little-endian machine. */
export function littleEndianBytes(data: TypedArray): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const size = data.BYTES_PER_ELEMENT;
  return HOST_ORDER === 'little' || size === 1 ? bytes : swapped(bytes, size);
}
