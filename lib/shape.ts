/**
 * Arithmetic on shapes and strides, in elements. Pure.
 */
import { TokenLearnerError } from './errors';
import { checkInteger, type IntegerRange, isIntegerIn, unexpected } from './validate';

/** Sizes of dimensions, outermost first. */
export type Shape = readonly number[];

/** The most dimensions of a tensor. PyTorch and NumPy have the same limit. */
export const MAX_DIMENSIONS = 64;

/** Formats a shape as Python formats a tuple: '(2, 3)', or '(3,)' for one dimension. */
export function formatShape(shape: Shape): string {
  return shape.length === 1 ? `(${String(shape[0])},)` : `(${shape.join(', ')})`;
}

/**
 * The number of elements; undefined if the elements, or their bytes at `itemSize`, exceed 2^53 - 1. This check counts a size of
 * 0 as 1, so that the strides of an empty tensor are exact too.
 */
export function countElements(shape: Shape, itemSize = 1): number | undefined {
  let count = 1;
  for (const size of shape) {
    count *= Math.max(size, 1);
    if (count * itemSize > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return shape.includes(0) ? 0 : count;
}

/** The same as {@link countElements}, but throws ERR_OUT_OF_RANGE instead of returning undefined. */
export function elementCount(shape: Shape, itemSize = 1): number {
  const count = countElements(shape, itemSize);
  if (count !== undefined) return count;
  throw new TokenLearnerError(
    'ERR_OUT_OF_RANGE',
    `A tensor of shape ${formatShape(shape)} has too many elements`,
  );
}

/** Checks a caller's shape, an array of non-negative integers. Returns a copy. */
export function checkShape(name: string, value: unknown): number[] {
  const shape = checkIntegers(name, value, { min: 0 });
  elementCount(shape);
  return shape;
}

/** Checks an array of integers, at most {@link MAX_DIMENSIONS}. Returns a copy. Throws ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE. */
export function checkIntegers(name: string, value: unknown, range: IntegerRange): number[] {
  if (!Array.isArray(value)) throw unexpected('ERR_INVALID_ARG_TYPE', name, 'an array of integers', value);
  const { length } = value;
  if (length > MAX_DIMENSIONS) {
    throw new TokenLearnerError(
      'ERR_OUT_OF_RANGE',
      `Expected at most ${MAX_DIMENSIONS} dimensions for \`${name}\` but received ${length}`,
    );
  }
  // Read by index, since the caller's iterator may return anything. This checks holes too.
  return Array.from({ length }, (_, i) => itemAt(name, i, value[i], range));
}

function itemAt(name: string, i: number, item: unknown, range: IntegerRange): number {
  // Its name is text that only an error needs.
  return isIntegerIn(range, item) ? item : checkInteger(`${name}[${i}]`, item, range);
}

/** Row-major strides. A size of 0 counts as 1, as in PyTorch. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--) {
    strides[i] = (strides[i + 1] ?? 1) * Math.max(shape[i + 1] ?? 1, 1);
  }
  return strides;
}

/** True if the elements lie row by row without gaps. Dimensions of size 1 and empty tensors may have any strides. */
export function isContiguous(shape: Shape, strides: Shape): boolean {
  if (shape.includes(0)) return true;
  const expected = contiguousStrides(shape);
  return shape.every((size, i) => size === 1 || strides[i] === expected[i]);
}

/** Resolves a dimension; a negative one counts from the end. Throws ERR_OUT_OF_RANGE. */
export function checkDimension(name: string, value: unknown, dimensions: number): number {
  const at = checkInteger(name, value, { min: -dimensions, max: dimensions - 1 });
  return at < 0 ? at + dimensions : at;
}

/**
 * Replaces one -1 by the size that the element count implies. Throws ERR_INVALID_ARG_VALUE for a second -1. Throws
 * ERR_SHAPE_MISMATCH if the counts differ, or if the -1 is ambiguous because another size is 0.
 */
export function resolveReshape(name: string, value: unknown, from: Shape): number[] {
  const asked = checkIntegers(name, value, { min: -1 });
  const free = asked.indexOf(-1);
  if (asked.lastIndexOf(-1) !== free) {
    throw unexpected('ERR_INVALID_ARG_VALUE', name, 'at most one -1', asked);
  }
  const shape = asked.map((size) => Math.abs(size));
  const mismatch = (): TokenLearnerError =>
    new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected a shape of ${elementCount(from)} elements for \`${name}\` but received ${formatShape(asked)}`,
    );
  if (free >= 0) {
    const known = elementCount(shape);
    if (known === 0 || elementCount(from) % known !== 0) throw mismatch();
    shape[free] = elementCount(from) / known;
  }
  if (elementCount(shape) !== elementCount(from)) throw mismatch();
  return shape;
}

interface Run {
  size: number;
  stride: number;
}

/** Merges adjacent dimensions that form one evenly strided run. Drops dimensions of size 1. */
function contiguousRuns(shape: Shape, strides: Shape): Run[] {
  return shape.reduce<Run[]>((runs, size, i) => {
    if (size === 1) return runs;
    const stride = strides[i] ?? 0;
    const last = runs.at(-1);
    if (last?.stride !== stride * size) return [...runs, { size, stride }];
    last.size *= size;
    last.stride = stride;
    return runs;
  }, []);
}

/** The strides of a view of (shape, strides) that has shape `to`; undefined if this needs a copy. */
export function viewStrides(shape: Shape, strides: Shape, to: Shape): number[] | undefined {
  if (elementCount(shape) === 0) return contiguousStrides(to);
  const runs = contiguousRuns(shape, strides);
  const result = to.map(() => 1);
  let run = runs.length - 1;
  // The elements of the current run that the dimensions of `to` cover so far, counted from the innermost.
  let taken = 1;
  for (let i = to.length - 1; i >= 0; i--) {
    const size = to[i] ?? 1;
    if (size === 1) continue;
    if (taken === runs[run]?.size) {
      run -= 1;
      taken = 1;
    }
    const current = runs[run];
    if (current === undefined || current.size % (taken * size) !== 0) return undefined;
    result[i] = current.stride * taken;
    taken *= size;
  }
  return result;
}

/** True if both have the same number of dimensions and the same sizes. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}
