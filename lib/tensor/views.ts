/**
 * Views: the same memory under another shape, other strides and another offset. Nothing is copied.
 */
import type { DType } from '../dtype';
import { TokenLearnerError } from '../errors';
import {
  checkDimension,
  checkIntegers,
  elementCount,
  formatShape,
  MAX_DIMENSIONS,
  resolveReshape,
  type Shape,
  viewStrides,
} from '../shape';
import { checkInteger, unexpected } from '../validate';
import { makeTensor, type View } from './access';
import { copied, temporary } from './copy';
import type { Tensor } from './tensor';

/** As {@link checkDimension}, but a tensor without dimensions counts as one with a single dimension, as in PyTorch. */
export function wrapDimension(name: string, value: unknown, shape: Shape): number {
  return checkDimension(name, value, Math.max(shape.length, 1));
}

/** Resolves dimensions that differ. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE. */
export function wrapDimensions(dim: unknown, shape: Shape): number[] {
  const dims = (Array.isArray(dim) ? dim : [dim]).map((item) => wrapDimension('dim', item, shape));
  if (new Set(dims).size === dims.length) return dims;
  throw unexpected('ERR_INVALID_ARG_VALUE', 'dim', 'dimensions that differ', dim);
}

/** Resolves a dimension of a tensor that has one. Throws ERR_SHAPE_MISMATCH, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE. */
function dimensionOf(name: string, value: unknown, { shape }: View): [dim: number, size: number] {
  if (shape.length === 0)
    throw new TokenLearnerError('ERR_SHAPE_MISMATCH', 'Expected a tensor with at least one dimension');
  const dim = checkDimension(name, value, shape.length);
  return [dim, shape[dim] ?? 0];
}

/** The view with another offset; an empty one keeps its own, which is inside the storage. */
function shifted(view: View, elements: number): number {
  return elementCount(view.shape) === 0 ? view.offset : view.offset + elements;
}

/** `list` with `count` items at `at` replaced by `items`. */
function spliced(list: Shape, at: number, count: number, ...items: number[]): number[] {
  return [...list.slice(0, at), ...items, ...list.slice(at + count)];
}

/** Replaces one dimension. */
function replaced<D extends DType>(
  view: View,
  dim: number,
  { start, length, step }: { start: number; length: number; step: number },
): Tensor<D> {
  const stride = view.strides[dim] ?? 1;
  // The stride of a single element reaches nothing, and its product with a large step would be no offset.
  const by = length <= 1 ? 1 : step;
  return makeTensor<D>({
    ...view,
    shape: spliced(view.shape, dim, 1, length),
    strides: spliced(view.strides, dim, 1, stride * by),
    offset: length === 0 ? view.offset : shifted(view, start * stride),
  });
}

/** A view under another shape; undefined if the strides need a copy. */
function reshapedView<D extends DType>(view: View, shape: Shape): Tensor<D> | undefined {
  const strides = viewStrides(view.shape, view.strides, shape);
  return strides && makeTensor<D>({ ...view, shape, strides });
}

export function reshape<D extends DType>(view: View, shape: unknown): Tensor<D> {
  const sizes = resolveReshape('shape', shape, view.shape);
  const made = reshapedView<D>(view, sizes);
  if (made !== undefined) return made;
  return temporary(copied(view, view.dtype, view.device), (copy) => copy.reshape(sizes)) as Tensor<D>;
}

export function viewAs<D extends DType>(view: View, shape: unknown): Tensor<D> {
  const sizes = resolveReshape('shape', shape, view.shape);
  const made = reshapedView<D>(view, sizes);
  if (made !== undefined) return made;
  throw new TokenLearnerError(
    'ERR_NOT_CONTIGUOUS',
    `No view of shape ${formatShape(sizes)} exists for shape ${formatShape(view.shape)} and strides ` +
      `${formatShape(view.strides)}; call reshape(), which then copies`,
  );
}

export function flatten<D extends DType>(view: View, startDim: unknown, endDim: unknown): Tensor<D> {
  const { shape } = view;
  const start = wrapDimension('startDim', startDim, shape);
  const end = wrapDimension('endDim', endDim, shape);
  if (start > end) throw unexpected('ERR_OUT_OF_RANGE', 'endDim', `a dimension of at least ${start}`, endDim);
  if (shape.length === 0) return reshape(view, [1]);
  const size = elementCount(shape.slice(start, end + 1));
  return reshape(view, [...shape.slice(0, start), size, ...shape.slice(end + 1)]);
}

export function permute<D extends DType>(view: View, dimensions: unknown): Tensor<D> {
  const { shape, strides } = view;
  const order = checkIntegers('dimensions', dimensions, {}).map((value, i) =>
    checkDimension(`dimensions[${i}]`, value, shape.length),
  );
  if (order.length !== shape.length || new Set(order).size !== order.length) {
    throw unexpected(
      'ERR_INVALID_ARG_VALUE',
      'dimensions',
      `each of the ${shape.length} dimensions once`,
      dimensions,
    );
  }
  return makeTensor<D>({
    ...view,
    shape: order.map((d) => shape[d] ?? 0),
    strides: order.map((d) => strides[d] ?? 0),
  });
}

export function transpose<D extends DType>(view: View, first: unknown, second: unknown): Tensor<D> {
  const { shape } = view;
  const a = wrapDimension('first', first, shape);
  const b = wrapDimension('second', second, shape);
  return permute(
    view,
    shape.map((_, d) => (d === a ? b : d === b ? a : d)),
  );
}

export function reversed<D extends DType>(view: View): Tensor<D> {
  return permute(
    view,
    view.shape.map((_, d) => view.shape.length - 1 - d),
  );
}

export function narrow<D extends DType>(
  view: View,
  dim: unknown,
  start: unknown,
  length: unknown,
): Tensor<D> {
  const [at, size] = dimensionOf('dim', dim, view);
  const asked = checkInteger('start', start, { min: -size, max: size });
  const first = asked < 0 ? asked + size : asked;
  return replaced(view, at, {
    start: first,
    length: checkInteger('length', length, { min: 0, max: size - first }),
    step: 1,
  });
}

export function select<D extends DType>(view: View, dim: unknown, index: unknown): Tensor<D> {
  const [at, size] = dimensionOf('dim', dim, view);
  const asked = checkInteger('index', index, { min: -size, max: size - 1 });
  return selected(view, at, asked < 0 ? asked + size : asked);
}

/** As {@link select}, for a dimension and an index that exist. */
function selected<D extends DType>(view: View, dim: number, index: number): Tensor<D> {
  return makeTensor<D>({
    ...view,
    shape: spliced(view.shape, dim, 1),
    strides: spliced(view.strides, dim, 1),
    offset: shifted(view, index * (view.strides[dim] ?? 0)),
  });
}

/** Start, end and step as in Python's slices. */
export function slice<D extends DType>(
  view: View,
  { dim, start, end, step }: Record<'dim' | 'start' | 'end' | 'step', unknown>,
): Tensor<D> {
  const [at, size] = dimensionOf('dim', dim, view);
  const bound = (name: string, value: unknown, otherwise: number): number => {
    const asked = value === undefined ? otherwise : checkInteger(name, value);
    return Math.min(Math.max(asked < 0 ? asked + size : asked, 0), size);
  };
  const first = bound('start', start, 0);
  const by = checkInteger('step', step, { min: 1 });
  const length = Math.ceil(Math.max(bound('end', end, size) - first, 0) / by);
  return replaced(view, at, { start: first, length, step: by });
}

export function squeeze<D extends DType>(view: View, dim: unknown): Tensor<D> {
  const { shape, strides } = view;
  const removed = dim === undefined ? shape.map((_, d) => d) : wrapDimensions(dim, shape);
  const kept = shape.map((_, d) => d).filter((d) => shape[d] !== 1 || !removed.includes(d));
  return makeTensor<D>({
    ...view,
    shape: kept.map((d) => shape[d] ?? 1),
    strides: kept.map((d) => strides[d] ?? 1),
  });
}

/** Checks the position of a new dimension. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE. */
export function newDimension(dim: unknown, shape: Shape): number {
  const at = checkDimension('dim', dim, shape.length + 1);
  if (shape.length < MAX_DIMENSIONS) return at;
  throw new TokenLearnerError('ERR_OUT_OF_RANGE', `A tensor has at most ${MAX_DIMENSIONS} dimensions`);
}

/** The view with a new dimension of size 1 at a position that {@link newDimension} has checked. */
export function unsqueezed(view: View, at: number): View {
  const { shape, strides } = view;
  return {
    ...view,
    shape: spliced(shape, at, 0, 1),
    strides: spliced(strides, at, 0, (shape[at] ?? 1) * (strides[at] ?? 1)),
  };
}

export function unsqueeze<D extends DType>(view: View, dim: unknown): Tensor<D> {
  return makeTensor<D>(unsqueezed(view, newDimension(dim, view.shape)));
}

export function unbind<D extends DType>(view: View, dim: unknown): Tensor<D>[] {
  const [at, size] = dimensionOf('dim', dim, view);
  return Array.from({ length: size }, (_, i) => selected<D>(view, at, i));
}
