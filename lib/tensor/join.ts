/**
 * cat and stack, for tensors on the CPU, of any strides, on the calling thread.
 */
import { binding } from '../binding';
import { type DType, dtypeInfo } from '../dtype';
import { TokenLearnerError } from '../errors';
import { checkDimension, elementCount, formatShape, sameShape, type Shape } from '../shape';
import { unexpected } from '../validate';
import { checkTensor, tensorArgument, type View } from './access';
import { allocated, checkCpu } from './copy';
import { rawElements, tensorOfRaw } from './elements';
import type { AnyTensor } from './tensor';
import { bytesOver, typedArrayOf } from './typed-array';
import { newDimension, unsqueezed } from './views';

/** The views of a list of tensors of one dtype. Throws ERR_INVALID_ARG_TYPE, ERR_DTYPE_MISMATCH, ERR_DEVICE_MISMATCH. */
function checkTensors(tensors: unknown): [View, ...View[]] {
  if (!Array.isArray(tensors) || tensors.length === 0)
    throw unexpected('ERR_INVALID_ARG_TYPE', 'tensors', 'an array of at least one Tensor', tensors);
  const views = Array.from(tensors, (tensor, i) => checkTensor(`tensors[${i}]`, tensor)) as unknown as [View];
  const [{ dtype }] = views;
  for (const [i, view] of views.entries()) {
    checkCpu(view, 'join it with others');
    if (view.dtype === dtype) continue;
    throw new TokenLearnerError(
      'ERR_DTYPE_MISMATCH',
      `Expected ${dtype} for \`tensors[${i}]\`, as for the first, but received ${view.dtype}`,
    );
  }
  return views;
}

function mismatch(i: number, expected: string, shape: Shape): TokenLearnerError {
  return new TokenLearnerError(
    'ERR_SHAPE_MISMATCH',
    `Expected ${expected} for \`tensors[${i}]\` but received ${formatShape(shape)}`,
  );
}

/** Puts views that agree in all dimensions but `dim` one after another. Throws ERR_OUT_OF_MEMORY, ERR_OUT_OF_RANGE. */
function joined(views: readonly View[], dim: number, dtype: DType): AnyTensor {
  const shape = [...(views[0]?.shape ?? [])];
  shape[dim] = views.reduce((total, view) => total + (view.shape[dim] ?? 0), 0);
  if (elementCount(shape) === 0) return allocated(shape, dtype);
  const outer = elementCount(shape.slice(0, dim));
  return outer === 1 ? appended(views, shape, dtype) : interleaved(views, shape, outer, dtype);
}

/** The elements of each view, one view after another. Together they may be more than an ArrayBuffer holds. */
function appended(views: readonly View[], shape: Shape, dtype: DType): AnyTensor {
  const made = allocated(shape, dtype);
  const { storage, dtype: code } = tensorArgument('tensor', made);
  let offset = 0;
  for (const view of views) {
    const elements = rawElements(view);
    const { length } = elements;
    binding().write({ storage, dtype: code, shape: [length], strides: [1], offset }, elements);
    offset += length;
  }
  return made;
}

/** The elements of each view in `outer` equal parts: for each index of the dimensions before the joined one, the parts of all views. */
function interleaved(views: readonly View[], shape: Shape, outer: number, dtype: DType): AnyTensor {
  const { itemSize } = dtypeInfo(dtype);
  const row = (elementCount(shape) / outer) * itemSize;
  const target = bytesOver(typedArrayOf(outer * row, 'uint8').buffer);
  let start = 0;
  for (const view of views) {
    const { buffer } = rawElements(view);
    const part = (elementCount(view.shape) / outer) * itemSize;
    for (let i = 0; i < outer; i++) target.set(bytesOver(buffer, i * part, part), i * row + start);
    start += part;
  }
  return tensorOfRaw(target, dtype, shape);
}

export function cat(tensors: unknown, dim: unknown): AnyTensor {
  const all = checkTensors(tensors);
  const [{ dtype }] = all;
  // As in PyTorch, tensors of shape (0,) join with any others.
  const views = all.filter(({ shape }) => shape.length !== 1 || shape[0] !== 0);
  const [{ shape } = all[0]] = views;
  if (shape.length === 0)
    throw mismatch(
      all.findIndex((view) => view.shape.length === 0),
      'at least one dimension',
      shape,
    );
  const at = checkDimension('dim', dim, shape.length);
  for (const [i, view] of all.entries()) {
    if (!views.includes(view)) continue;
    const fits =
      view.shape.length === shape.length && view.shape.every((size, d) => d === at || size === shape[d]);
    if (!fits)
      throw mismatch(i, `the sizes of ${formatShape(shape)}, except in dimension ${at},`, view.shape);
  }
  return joined(views.length === 0 ? all : views, at, dtype);
}

export function stack(tensors: unknown, dim: unknown): AnyTensor {
  const views = checkTensors(tensors);
  const [{ dtype, shape }] = views;
  const at = newDimension(dim, shape);
  const wrong = views.findIndex((view) => !sameShape(view.shape, shape));
  if (wrong > 0) throw mismatch(wrong, `shape ${formatShape(shape)}`, views[wrong]?.shape ?? []);
  return joined(
    views.map((view) => unsqueezed(view, at)),
    at,
    dtype,
  );
}
