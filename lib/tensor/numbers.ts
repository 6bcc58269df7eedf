/** Conversions between elements, JavaScript's numbers and JSON. */
import type { DType, TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import { fromBFloat16, fromFloat16 } from '../formats/small-floats';
import { contiguousStrides, countElements, MAX_DIMENSIONS, type Shape } from '../shape';

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
    const row: Nested<T>[] = [];
    for (let i = 0; i < size; i++) row.push(level(dimension + 1, offset + i * (strides[dimension] ?? 1)));
    return row;
  };
  return level(0, 0);
}

/**
 * The shape of nested arrays, by the first element of each level, and the first element. It ends at the first empty level: [[], []]
 * has shape (2, 0). Throws ERR_OUT_OF_RANGE for too many levels or elements.
 */
export function nestedShape(data: unknown): { shape: number[]; first: unknown } {
  const shape: number[] = [];
  let level = data;
  for (; Array.isArray(level); level = level[0] as unknown) {
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
  return { shape, first: level };
}

/**
 * Calls `put` with each element of nested arrays of this shape, row by row. Throws ERR_SHAPE_MISMATCH if rows differ in length or
 * depth.
 */
export function visitElements(
  data: unknown,
  shape: readonly number[],
  put: (value: unknown, index: number) => void,
): void {
  if (shape.length === 0) {
    put(data, 0);
    return;
  }
  let index = 0;
  const visit = (level: unknown, dimension: number): void => {
    const size = shape[dimension] ?? 0;
    if (!Array.isArray(level) || level.length !== size) throw unequalLengths(level, size);
    // The elements by index: an iterator of the caller's could give others.
    if (dimension < shape.length - 1) {
      for (let i = 0; i < size; i++) visit(level[i], dimension + 1);
      return;
    }
    // A call of its own for each element would take half as long again.
    for (let i = 0; i < size; i++) {
      const value: unknown = level[i];
      if (typeof value === 'object' && Array.isArray(value))
        throw new TokenLearnerError(
          'ERR_SHAPE_MISMATCH',
          'Expected nested arrays of equal depths for `data`',
        );
      put(value, index++);
    }
  };
  visit(data, 0);
}

function unequalLengths(row: unknown, size: number): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_SHAPE_MISMATCH',
    `Expected nested arrays of equal lengths for \`data\` but one has ${Array.isArray(row) ? row.length : 'no'} elements where others have ${size}`,
  );
}
