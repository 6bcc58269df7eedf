/** Conversions between elements, JavaScript's numbers and JSON. */
import type { DType, TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import { fromBFloat16, fromFloat16 } from '../formats/small-floats';
import { contiguousStrides, countElements, elementCount, MAX_DIMENSIONS, type Shape } from '../shape';

const MOST_ELEMENTS = 2 ** 27;

/** The value of an element. `raw` is the element as memory holds it; for 16-bit floats it is their bits. */
export function elementValue(dtype: DType, raw: number | bigint): number | bigint | boolean {
  if (dtype === 'bool') return raw !== 0;
  if (dtype === 'float16') return fromFloat16(Number(raw));
  return dtype === 'bfloat16' ? fromBFloat16(Number(raw)) : raw;
}

/** An element in JSON. 64-bit integers and numbers that are not finite are strings. */
export type JsonElement = number | string | boolean;

/** Elements in nested arrays, one level per dimension; a single element for a tensor without dimensions. */
export type Nested<T> = T | readonly Nested<T>[];

/** A tensor as `JSON.stringify` writes it. `Tensor.from` converts it back. */
export interface TensorJSON<D extends DType = DType> {
  /** The element type. */
  dtype: D;
  /** The sizes of the dimensions. */
  shape: readonly number[];
  /** The elements. int64 is a decimal string. Numbers that are not finite are 'NaN', 'Infinity' and '-Infinity'. */
  data: Nested<JsonElement>;
}

/** Converts a raw element to an element of {@link TensorJSON}. */
export function jsonElement(dtype: DType, raw: number | bigint): JsonElement {
  const value = elementValue(dtype, raw);
  return typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))
    ? String(value)
    : value;
}

/** The JSON of a tensor of these raw elements. */
export function tensorJSON<D extends DType>(dtype: D, shape: Shape, raw: TypedArray): TensorJSON<D> {
  return { dtype, shape: [...shape], data: nested((i) => jsonElement(dtype, raw[i] ?? 0), shape) };
}

/**
 * An object to print in place of the JSON of a tensor without elements. Its `data` and JSON.stringify throw the error that `fail`
 * throws.
 */
export function unreadableJSON<D extends DType>(
  dtype: D,
  shape: Shape,
  state: string,
  fail: () => unknown,
): TensorJSON<D> {
  const shown = { dtype, shape: [...shape], state };
  return Object.defineProperties(shown, {
    data: { get: fail },
    toJSON: { value: fail },
  }) as unknown as TensorJSON<D>;
}

/** Converts a string of {@link jsonElement} back to its number or integer. Returns anything else unchanged. */
export function fromJsonElement(value: unknown, dtype: DType): unknown {
  if (typeof value !== 'string') return value;
  if (dtype === 'int64') return /^-?\d{1,20}$/.test(value) ? BigInt(value) : value;
  return ['NaN', 'Infinity', '-Infinity'].includes(value) ? Number(value) : value;
}

/** Puts contiguous elements into nested arrays. */
export function nested<T>(at: (index: number) => T, shape: Shape): Nested<T> {
  const strides = contiguousStrides(shape);
  const level = (dimension: number, offset: number): Nested<T> => {
    const size = shape[dimension];
    if (size === undefined) return at(offset);
    return Array.from({ length: size }, (_, i) =>
      level(dimension + 1, offset + i * (strides[dimension] ?? 1)),
    );
  };
  return level(0, 0);
}

/**
 * The elements of nested arrays, row by row, and their shape. Throws ERR_SHAPE_MISMATCH if rows differ in length or depth, and
 * ERR_OUT_OF_RANGE for too many levels or elements.
 */
export function flattened(data: unknown): { values: unknown[]; shape: number[] } {
  const shape: number[] = [];
  for (let level = data; Array.isArray(level); level = level[0] as unknown) {
    if (shape.length === MAX_DIMENSIONS)
      throw new TokenLearnerError(
        'ERR_OUT_OF_RANGE',
        `Expected at most ${MAX_DIMENSIONS} levels in \`data\``,
      );
    shape.push(level.length);
  }
  // A Proxy can claim any length. A real array with this many elements takes a gigabyte by itself.
  if ((countElements(shape) ?? Infinity) > MOST_ELEMENTS || shape.some((size) => size > MOST_ELEMENTS)) {
    throw new TokenLearnerError(
      'ERR_OUT_OF_RANGE',
      `Expected at most ${MOST_ELEMENTS} numbers in \`data\`; pass a typed array`,
    );
  }
  // The shape ends at the first empty level: [[], []] has shape (2, 0).
  let level = [data];
  for (const size of shape) {
    const rows = level;
    level = [];
    for (const row of rows) {
      if (!Array.isArray(row) || row.length !== size) throw unequalLengths(row, size);
      // The elements by index: an iterator of the caller's could give others.
      for (let i = 0; i < size; i += 1) level.push(row[i]);
    }
  }
  if (elementCount(shape) > 0 && level.some(Array.isArray))
    throw new TokenLearnerError('ERR_SHAPE_MISMATCH', 'Expected nested arrays of equal depths for `data`');
  return { values: level, shape };
}

function unequalLengths(row: unknown, size: number): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_SHAPE_MISMATCH',
    `Expected nested arrays of equal lengths for \`data\` but one has ${Array.isArray(row) ? row.length : 'no'} elements where others have ${size}`,
  );
}
