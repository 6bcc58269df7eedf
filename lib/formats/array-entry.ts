import { types } from 'node:util';

import { DTYPES, dtypeInfo, isArrayFor, type DType, type TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import { checkShape, elementCount, formatShape } from '../shape';
import { checkOneOf, unexpected } from '../validate';

/** One array of a file: its elements in C order (the last dimension is contiguous). */
export interface ArrayEntry {
  dtype: DType;
  shape: number[];
  /**
   * The elements: float16 and bfloat16 as their bits in a Uint16Array (float16 also in a Float16Array, if the runtime has it),
   * int64 as a BigInt64Array, bool as a Uint8Array of 0 and 1.
   */
  data: TypedArray;
}

/** Elements that are read part by part while they are saved. */
export abstract class ElementParts {
  /** Bytes of all elements. */
  abstract readonly byteLength: number;
  /** Yields copies of the elements, in C order and from the beginning. */
  abstract parts(): Iterable<TypedArray>;
}

/** One array to save. */
export interface SavedEntry {
  dtype: DType;
  shape: number[];
  data: TypedArray | ElementParts;
}

/** Arrays to save, by name. */
export type SavedEntries = Record<string, SavedEntry>;

/** Arrays by name. It has no prototype, so any name, also `__proto__`, is an ordinary key. */
export type ArrayEntries = Record<string, ArrayEntry>;

/** An {@link ArrayEntries} without entries. */
export function emptyEntries(): ArrayEntries {
  return Object.create(null) as ArrayEntries;
}

/**
 * Checks that a value is a complete {@link ArrayEntry}. Returns a copy; the copy shares `data`.
 *
 * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE (dtype), ERR_OUT_OF_RANGE (shape),
 * ERR_DTYPE_MISMATCH (the typed array is not the dtype's) or ERR_SHAPE_MISMATCH (its length is not the shape's).
 */
export function checkArrayEntry(name: string, value: unknown): ArrayEntry {
  if (typeof value !== 'object' || value === null)
    throw unexpected('ERR_INVALID_ARG_TYPE', name, 'an array entry', value);
  const entry = value as Partial<Record<keyof ArrayEntry, unknown>>;
  const dtype = checkOneOf(`${name}.dtype`, entry.dtype, DTYPES);
  const shape = checkShape(`${name}.shape`, entry.shape);
  const { data } = entry;
  if (!types.isTypedArray(data))
    throw unexpected('ERR_INVALID_ARG_TYPE', `${name}.data`, 'a typed array', data);
  if (!isArrayFor(data[Symbol.toStringTag], dtype)) {
    const expected = `a ${dtypeInfo(dtype).array.name} for dtype ${dtype}`;
    throw unexpected('ERR_DTYPE_MISMATCH', `${name}.data`, expected, data);
  }
  if (data.length !== elementCount(shape)) {
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected ${elementCount(shape)} elements for \`${name}.data\` of shape ${formatShape(shape)} but received ${data.length}`,
    );
  }
  return { dtype, shape, data: data as TypedArray };
}

/** As {@link checkArrayEntry}, for an array to save. Does not check elements that are read part by part. */
export function checkSavedEntry(name: string, value: unknown): SavedEntry {
  const { data } = (value ?? {}) as Partial<SavedEntry>;
  return data instanceof ElementParts ? (value as SavedEntry) : checkArrayEntry(name, value);
}
