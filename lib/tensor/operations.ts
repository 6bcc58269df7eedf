/**
 * The methods that make tensors of a tensor. Each is one call of a file beside this one.
 */
import { type DeviceOption, isDeviceOption, resolveDevice } from '../device';
import { type DType, DTYPES, isDType, type SumDType } from '../dtype';
import { isContiguous, type Shape } from '../shape';
import { checkInteger, checkOneOf, unexpected } from '../validate';
import { checkThis, live, type View } from './access';
import { TensorBase } from './base';
import { unreadable } from './contents';
import { copied, copiedAsync } from './copy';
import { type PixelImage, toImage, type ToImageOptions } from './image-output';
import * as reduce from './reduce';
import type { AnyTensor, Tensor } from './tensor';
import * as views from './views';

/** The dtype and the device that `to` asks for. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_CUDA_UNAVAILABLE. */
function targetOf({ dtype, device }: View, target: unknown, second: unknown): Pick<View, 'dtype' | 'device'> {
  if (isDType(target)) {
    if (second === undefined) return { dtype: target, device };
    throw unexpected('ERR_INVALID_ARG_VALUE', 'dtype', 'nothing after a dtype', second);
  }
  if (!isDeviceOption(target)) {
    const code = typeof target === 'string' ? 'ERR_INVALID_ARG_VALUE' : 'ERR_INVALID_ARG_TYPE';
    throw unexpected(code, 'target', 'a dtype or a device', target);
  }
  const chosen = second === undefined ? dtype : checkOneOf('dtype', second, DTYPES);
  return { dtype: chosen, device: resolveDevice('target', target) };
}

/** The views of the first dimension, one at a time. */
function* rows(tensor: TensorOperations<DType>): Generator<AnyTensor> {
  const [size = 0] = live(tensor).shape;
  for (let i = 0; i < size; i += 1) yield tensor.select(0, i);
}

/** The elements of a tensor of one dimension. */
function* elements(tensor: TensorOperations<DType>): Generator {
  const values = tensor.toArray() as readonly unknown[];
  for (const value of values) yield value;
}

/** The operations of a {@link Tensor}. */
export abstract class TensorOperations<D extends DType> extends TensorBase<D> {
  /**
   * Returns a copy with another dtype or on another device, or the tensor itself if nothing would change. A dtype may
   * follow a device.
   *
   * @throws TokenLearnerError ERR_INVALID_ARG_VALUE, ERR_CUDA_UNAVAILABLE, ERR_OUT_OF_MEMORY.
   */
  to(device: DeviceOption): Tensor<D>;
  to<E extends DType>(dtype: E): Tensor<E>;
  to<E extends DType>(device: DeviceOption, dtype: E): Tensor<E>;
  to(target: DeviceOption | DType): AnyTensor;
  to(target: DeviceOption | DType, second?: DType): AnyTensor {
    const view = live(this);
    const { dtype, device } = targetOf(view, target, second);
    const self = this as unknown as Tensor;
    return dtype === view.dtype && device === view.device ? self : copied(view, dtype, device);
  }

  /**
   * The same as {@link to}, on the thread of an executor: for tensors so large that the copy would hold the event loop. It waits in the
   * queue of the device's forwards. A tensor over JavaScript's memory is copied during the call, as it is.
   *
   * @throws TokenLearnerError (as a rejection) the errors of {@link to}; ERR_DISPOSED, ERR_DETACHED, ERR_QUEUE_FULL, ERR_CLOSED.
   */
  toAsync(device: DeviceOption): Promise<Tensor<D>>;
  toAsync<E extends DType>(dtype: E): Promise<Tensor<E>>;
  toAsync<E extends DType>(device: DeviceOption, dtype: E): Promise<Tensor<E>>;
  toAsync(target: DeviceOption | DType): Promise<AnyTensor>;
  async toAsync(target: DeviceOption | DType, second?: DType): Promise<AnyTensor> {
    const view = live(this);
    const { dtype, device } = targetOf(view, target, second);
    const self = this as unknown as Tensor;
    return dtype === view.dtype && device === view.device ? self : copiedAsync(view, dtype, device);
  }

  /** The same as `to('float32')`. */
  float(): Tensor {
    live(this);
    return this.to('float32');
  }

  /** The same as `to('float64')`. */
  double(): Tensor<'float64'> {
    live(this);
    return this.to('float64');
  }

  /** The same as `to('bfloat16')`. */
  bfloat16(): Tensor<'bfloat16'> {
    live(this);
    return this.to('bfloat16');
  }

  /** The same as `to('float16')`. */
  half(): Tensor<'float16'> {
    live(this);
    return this.to('float16');
  }

  /** The same as `to('cpu')`. */
  cpu(): Tensor<D> {
    live(this);
    return this.to('cpu');
  }

  /**
   * The same as `to('cuda')`, or `to('cuda:N')` for an index.
   *
   * @throws TokenLearnerError ERR_CUDA_UNAVAILABLE, ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
   */
  cuda(index?: number): Tensor<D> {
    live(this);
    return this.to(index === undefined ? 'cuda' : `cuda:${checkInteger('index', index, { min: 0 })}`);
  }

  /**
   * Converts one picture of a tensor on the CPU, of shape (N, C, H, W) or (C, H, W) where C is 1 or 3, back to pixels. `mean` and
   * `std` are those of {@link Tensor.fromImage}, and are undone. A number x becomes x * 255, rounded to the nearest integer and clamped to
   * 0 ... 255.
   *
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH; ERR_OUT_OF_RANGE,
   * also for NaN; ERR_DEVICE_MISMATCH for a tensor on a GPU; ERR_DISPOSED, ERR_DETACHED, ERR_OUT_OF_MEMORY.
   */
  toImage(options?: ToImageOptions): PixelImage {
    return toImage(live(this), options);
  }

  /** Returns a contiguous copy in native memory. */
  clone(): Tensor<D> {
    const view = live(this);
    return copied(view, view.dtype, view.device) as Tensor<D>;
  }

  /** The same as {@link clone}, on the thread of an executor. See {@link toAsync}. */
  async cloneAsync(): Promise<Tensor<D>> {
    const view = live(this);
    return (await copiedAsync(view, view.dtype, view.device)) as Tensor<D>;
  }

  /** Returns the tensor itself if it is contiguous, otherwise a contiguous copy. */
  contiguous(): Tensor<D> {
    const { shape, strides } = live(this);
    const self = this as unknown as Tensor<D>;
    return isContiguous(shape, strides) ? self : this.clone();
  }

  /** The same as {@link contiguous}, on the thread of an executor. See {@link toAsync}. */
  async contiguousAsync(): Promise<Tensor<D>> {
    const { shape, strides } = live(this);
    const self = this as unknown as Tensor<D>;
    return isContiguous(shape, strides) ? self : this.cloneAsync();
  }

  /**
   * Returns the same elements under another shape. As in `torch.reshape` the result is a view if the strides allow it, and a
   * copy otherwise.
   *
   * @param shape - the sizes. One of them may be -1; the number of elements then determines it.
   * @throws TokenLearnerError ERR_SHAPE_MISMATCH if the number of elements differs.
   */
  reshape(shape: Shape): Tensor<D> {
    return views.reshape(live(this), shape);
  }

  /**
   * Returns a view with another shape. Unlike {@link reshape} it never copies.
   *
   * @throws TokenLearnerError ERR_NOT_CONTIGUOUS if the strides do not allow it; the errors of {@link reshape}.
   */
  view(shape: Shape): Tensor<D> {
    return views.viewAs(live(this), shape);
  }

  /**
   * Returns the tensor with the dimensions from `startDim` to `endDim` as one. A view if the strides allow it, and a copy
   * otherwise.
   */
  flatten(startDim = 0, endDim = -1): Tensor<D> {
    return views.flatten(live(this), startDim, endDim);
  }

  /** Returns a view with the dimensions in another order; negative ones count from the end. */
  permute(dimensions: readonly number[]): Tensor<D> {
    return views.permute(live(this), dimensions);
  }

  /** Returns a view with two dimensions swapped; negative ones count from the end. */
  transpose(first: number, second: number): Tensor<D> {
    return views.transpose(live(this), first, second);
  }

  /** A view with the dimensions in reverse order: the transpose of a matrix. */
  get T(): Tensor<D> {
    return views.reversed(live(this));
  }

  /**
   * Returns a view of `length` indices of a dimension, from `start` on. Negative values of `dim` and `start` count from the end.
   *
   * @throws TokenLearnerError ERR_OUT_OF_RANGE if they are not all in the dimension.
   */
  narrow(dim: number, start: number, length: number): Tensor<D> {
    return views.narrow(live(this), dim, start, length);
  }

  /** Returns a view of one index of a dimension, without that dimension. Negative values count from the end. */
  select(dim: number, index: number): Tensor<D> {
    return views.select(live(this), dim, index);
  }

  /**
   * Returns a view of every `step`-th index of a dimension, as `x[start:end:step]` in Python: negative indices count from the end,
   * and indices outside the dimension are moved to its ends.
   *
   * @param start - @default 0
   * @param end - the first index that is left out. @default the size of the dimension
   * @param step - at least 1.
   */
  slice(dim: number, start?: number, end?: number, step = 1): Tensor<D> {
    return views.slice(live(this), { dim, start, end, step });
  }

  /**
   * Returns a view without dimensions of size 1.
   *
   * @param dim - the dimensions to remove; those of another size stay. @default all
   */
  squeeze(dim?: number | readonly number[]): Tensor<D> {
    return views.squeeze(live(this), dim);
  }

  /** Returns a view with a new dimension of size 1 at position `dim`; a negative one counts from the end. */
  unsqueeze(dim: number): Tensor<D> {
    return views.unsqueeze(live(this), dim);
  }

  /**
   * Returns the views of all indices of a dimension, each without that dimension. For the first dimension a tensor is iterable
   * itself.
   */
  unbind(dim = 0): Tensor<D>[] {
    return views.unbind(live(this), dim);
  }

  /**
   * Iterates over the first dimension: `for (const row of tensor)`. Each row is a view, as `select(0, i)`. A tensor of one dimension
   * gives its elements as numbers (bigint for int64, boolean for bool), as they are at the start. One without dimensions is not
   * iterable, and neither is a disposed one.
   */
  // Missing rather than throwing: jest and vitest ask every object, also a disposed tensor.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  get [Symbol.iterator](): () => IterableIterator<any> {
    const state = checkThis(this);
    if (state.shape.length === 0 || unreadable(state) !== undefined) return undefined as never;
    return () => (state.shape.length === 1 ? elements(this) : rows(this));
  }

  /**
   * The sum of the elements, in the tensor's dtype; int64 for integers and bool. On the CPU only.
   *
   * @param dim - the dimensions to sum over. @default all
   * @param keepdim - keeps these dimensions, with size 1.
   */
  sum(dim?: number | readonly number[], keepdim = false): Tensor<SumDType<D>> {
    return reduce.sum(live(this), dim, keepdim) as Tensor<SumDType<D>>;
  }

  /**
   * The mean of the elements, in the tensor's dtype. On the CPU only.
   *
   * @param dim - the dimensions to average over. @default all
   * @param keepdim - keeps these dimensions, with size 1.
   * @throws TokenLearnerError ERR_DTYPE_MISMATCH unless the dtype is floating.
   */
  mean(dim?: number | readonly number[], keepdim = false): Tensor<D> {
    return reduce.mean(live(this), dim, keepdim) as Tensor<D>;
  }

  /**
   * The index of the first largest element along a dimension. NaN is larger than every number. On the CPU only.
   *
   * @param dim - @default all elements, in row order
   * @param keepdim - keeps the dimension, with size 1.
   * @throws TokenLearnerError ERR_SHAPE_MISMATCH if there are no elements to choose from; ERR_DTYPE_MISMATCH for bool.
   */
  argmax(dim?: number, keepdim = false): Tensor<'int64'> {
    return reduce.argmax(live(this), dim, keepdim);
  }

  /**
   * The `k` largest elements along a dimension, and their indices. NaN is larger than every number. Among equal elements the first
   * comes first; PyTorch leaves that open. On the CPU only.
   *
   * @param k - from 0 to the size of the dimension.
   * @param largest - false takes the smallest elements.
   * @param sorted - false allows any order. The result is sorted in both cases.
   * @throws TokenLearnerError ERR_OUT_OF_RANGE; ERR_DTYPE_MISMATCH for bool.
   */
  topk(k: number, dim = -1, largest = true, sorted = true): reduce.TopK<D> {
    return reduce.topk(live(this), k, { dim, largest, sorted });
  }

  /**
   * `exp(x) / sum(exp(x))` along a dimension, in the tensor's dtype. On the CPU only.
   *
   * @throws TokenLearnerError ERR_DTYPE_MISMATCH unless the dtype is floating.
   */
  softmax(dim: number): Tensor<D> {
    return reduce.softmax(live(this), dim);
  }
}
