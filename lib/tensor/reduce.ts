/**
 * Reductions and what else reads whole rows: sums, means, softmax, argmax, topk. For tensors on the CPU, of any strides, on the
 * calling thread. They compute in double and round once, so their error is no larger than PyTorch's.
 */
import { type DType, dtypeInfo } from '../dtype';
import { TokenLearnerError } from '../errors';
import { elementCount, type Shape } from '../shape';
import { checkBoolean, checkInteger } from '../validate';
import { checkTensor, type View } from './access';
import { checkCpu, temporary } from './copy';
import { rawElements, tensorOf, tensorOfRaw, type Values, valuesOf } from './elements';
import type { AnyTensor, Tensor } from './tensor';
import { wrapDimension, wrapDimensions } from './views';

type Row = Values;

/** A tensor's elements as rows along some of its dimensions. */
interface Rows {
  rows: Row[];
  /** The sizes of the other dimensions. */
  outer: number[];
  /** The shape with the reduced dimensions as 1. */
  kept: number[];
}

/** Reads the elements so that `dims` are innermost. Throws ERR_DEVICE_MISMATCH. */
function rowsOf(view: View, dims: readonly number[]): Rows {
  checkCpu(view, 'compute with its elements');
  const { shape, strides } = view;
  const others = shape.map((_, d) => d).filter((d) => !dims.includes(d));
  const order = [...others, ...dims.filter((d) => d < shape.length)];
  const pick = (list: Shape): number[] => order.map((d) => list[d] ?? 1);
  const values = valuesOf({ ...view, shape: pick(shape), strides: pick(strides) });
  const outer = others.map((d) => shape[d] ?? 1);
  const length = elementCount(dims.map((d) => shape[d] ?? 1));
  const rows = Array.from({ length: elementCount(outer) }, (_, i) =>
    values.subarray(i * length, (i + 1) * length),
  );
  return { rows, outer, kept: shape.map((size, d) => (dims.includes(d) ? 1 : size)) };
}

/** Resolves the dimensions to reduce: all of them for undefined and []. */
function reducedDims(dim: unknown, shape: Shape): number[] {
  const dims = dim === undefined ? [] : wrapDimensions(dim, shape);
  return dims.length === 0 ? shape.map((_, d) => d) : dims;
}

function checkFloating(name: string, { dtype }: View): void {
  if (dtypeInfo(dtype).floating) return;
  throw new TokenLearnerError(
    'ERR_DTYPE_MISMATCH',
    `Expected a tensor of a floating dtype for ${name} but its dtype is ${dtype}; call to('float32') first`,
  );
}

/** The sum of doubles with Neumaier's compensation. */
function compensated(row: Float64Array): number {
  let sum = 0;
  let lost = 0;
  for (const value of row) {
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  // The compensation of an infinite sum is NaN.
  return Number.isFinite(sum) ? sum + lost : sum;
}

function total(row: Row): number | bigint {
  if (row instanceof Float64Array) return compensated(row);
  let sum = 0n;
  for (const value of row) sum += value;
  return BigInt.asIntN(64, sum);
}

/** Reduces each row to one number. */
function reduced<D extends DType>(
  view: View,
  { dim, keepdim, dtype }: { dim: unknown; keepdim: unknown; dtype: D },
  reduce: (row: Row) => number | bigint,
): Tensor<D> {
  const keep = checkBoolean('keepdim', keepdim);
  const { rows, outer, kept } = rowsOf(view, reducedDims(dim, view.shape));
  return tensorOf(rows.map(reduce), dtype, keep ? kept : outer);
}

export function sum(view: View, dim: unknown, keepdim: unknown): AnyTensor {
  const dtype = dtypeInfo(view.dtype).floating ? view.dtype : 'int64';
  return reduced<DType>(view, { dim, keepdim, dtype }, total);
}

export function mean(view: View, dim: unknown, keepdim: unknown): AnyTensor {
  checkFloating('mean', view);
  return reduced(view, { dim, keepdim, dtype: view.dtype }, (row) => Number(total(row)) / row.length);
}

/** True if `a` comes before `b` in descending order. NaN is the largest. */
function exceeds(a: number | bigint, b: number | bigint): boolean {
  return a > b || (Number.isNaN(a) && !Number.isNaN(b));
}

function firstMaximum(row: Row): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (exceeds(row[i] ?? 0, row[best] ?? 0)) best = i;
  return best;
}

/** Throws ERR_DTYPE_MISMATCH for bool, which PyTorch does not order. */
function checkOrdered(name: string, { dtype }: View): void {
  if (dtype !== 'bool') return;
  throw new TokenLearnerError(
    'ERR_DTYPE_MISMATCH',
    `Expected a tensor of numbers for ${name} but its dtype is bool; call to('uint8') first`,
  );
}

export function argmax(view: View, dim: unknown, keepdim: unknown): Tensor<'int64'> {
  checkOrdered('argmax', view);
  const at = dim === undefined ? undefined : wrapDimension('dim', dim, view.shape);
  const size = at === undefined ? elementCount(view.shape) : (view.shape[at] ?? 1);
  if (size === 0)
    throw new TokenLearnerError('ERR_SHAPE_MISMATCH', 'Expected at least one element to take the argmax of');
  return reduced(view, { dim: at, keepdim, dtype: 'int64' }, firstMaximum);
}

/** Creates a contiguous tensor of rows along `dim`. `outer` has the sizes of the other dimensions. */
function tensorOfRows<D extends DType>(
  values: ArrayLike<number | bigint>,
  dtype: D,
  { outer, length, dim }: { outer: readonly number[]; length: number; dim: number },
): Tensor<D> {
  const rows = tensorOf(values, dtype, [...outer, length]);
  if (dim === outer.length) return rows;
  const order = outer.map((_, d) => d);
  order.splice(dim, 0, outer.length);
  return temporary(rows.permute(order), (moved) => {
    rows.dispose();
    return tensorOfRaw(rawElements(checkTensor('rows', moved)), dtype, moved.shape);
  });
}

function softmaxRow(row: Row): number[] {
  const values = Array.from(row, Number);
  const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = compensated(Float64Array.from(powers));
  return powers.map((power) => power / sum);
}

export function softmax<D extends DType>(view: View, dim: unknown): Tensor<D> {
  checkFloating('softmax', view);
  const at = wrapDimension('dim', dim, view.shape);
  const { rows, outer } = rowsOf(view, [at]);
  const values = rows.flatMap(softmaxRow);
  if (view.shape.length === 0) return tensorOf(values, view.dtype as D, []);
  return tensorOfRows(values, view.dtype as D, { outer, length: view.shape[at] ?? 1, dim: at });
}

/** The largest or smallest elements and their positions along a dimension. */
export interface TopK<D extends DType> {
  /** The elements. */
  values: Tensor<D>;
  /** Their positions along the dimension. */
  indices: Tensor<'int64'>;
}

/** The positions of the first `k` elements in descending or ascending order. Among equal elements the first comes first. */
function order(row: Row, k: number, largest: boolean): number[] {
  const before = (a: number, b: number): number => {
    const [x = 0, y = 0] = largest ? [row[a], row[b]] : [row[b], row[a]];
    if (exceeds(x, y)) return -1;
    return exceeds(y, x) ? 1 : a - b;
  };
  return Array.from(row.keys()).sort(before).slice(0, k);
}

export function topk<D extends DType>(
  view: View,
  k: unknown,
  how: Record<'dim' | 'largest' | 'sorted', unknown>,
): TopK<D> {
  checkOrdered('topk', view);
  const { shape } = view;
  const at = wrapDimension('dim', how.dim, shape);
  const count = checkInteger('k', k, { min: shape.length === 0 ? 1 : 0, max: shape[at] ?? 1 });
  const largest = checkBoolean('largest', how.largest);
  checkBoolean('sorted', how.sorted);
  const { rows, outer } = rowsOf(view, [at]);
  const chosen = rows.map((row) => order(row, count, largest));
  const made = <E extends DType>(values: ArrayLike<number | bigint>, dtype: E): Tensor<E> => {
    if (shape.length === 0) return tensorOf(values, dtype, []);
    return tensorOfRows(values, dtype, { outer, length: count, dim: at });
  };
  return {
    values: made(
      chosen.flatMap((positions, i) => positions.map((p) => rows[i]?.[p] ?? 0)),
      view.dtype as D,
    ),
    indices: made(chosen.flat(), 'int64'),
  };
}
