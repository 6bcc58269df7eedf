/**
 * The base of the Tensor class: its state, its memory, its elements as JavaScript's values, and its comparisons.
 */
import '../dispose';
import { binding } from '../binding';
import type { Device } from '../device';
import { type DType, dtypeInfo, type TypedArray, type TypedArrayFor } from '../dtype';
import { TokenLearnerError } from '../errors';
import { elementCount, formatShape, isContiguous, type Shape } from '../shape';
import { uncloneable } from '../uncloneable';
import type { Shared } from '../shared';
import { checkThis, connectTensor, live, tensorArgument, type TensorState } from './access';
import { bytesOf } from './arguments';
import { allClose, type AllCloseOptions, equals } from './compare';
import { nameCopied, showContents, unreadable } from './contents';
import { checkHost, copied, movedOut, temporary, withHosted } from './copy';
import { elementReader, type ItemFor, rawElements } from './elements';
import { formatTensor, inspectSymbol, THRESHOLD } from './format';
import { elementValue, type Nested, nested, type TensorJSON, tensorJSON, unreadableJSON } from './numbers';
import { moveTensor, shareTensor } from './share';
import type { AnyTensor, Tensor } from './tensor';

const CLONING = uncloneable('a Tensor; send tensor.share() or tensor.move(), and call openShared() there');

/** The state, memory and elements of a {@link Tensor}. */
export abstract class TensorBase<D extends DType> {
  /** Makes structured cloning throw with this text. Without it a clone would be `{}`. @internal */
  readonly cloning = CLONING;
  readonly #state: TensorState;
  #data: TypedArray | undefined;

  static {
    nameCopied(this.prototype);
    connectTensor({
      stateOf: (value) =>
        typeof value === 'object' && value !== null && #state in value ? value.#state : undefined,
    });
  }

  protected constructor(state: TensorState) {
    this.#state = state;
    showContents(this);
  }

  /** The sizes of the dimensions. */
  get shape(): Shape {
    return live(this).shape;
  }

  /** For each dimension, the distance from one index to the next, in elements. */
  get strides(): Shape {
    return live(this).strides;
  }

  /** The element type. */
  get dtype(): D {
    return live(this).dtype as D;
  }

  /** 'cpu' or 'cuda:N'. */
  get device(): Device {
    return live(this).device;
  }

  /** The number of dimensions. */
  get ndim(): number {
    return live(this).shape.length;
  }

  /** The number of elements. */
  get numel(): number {
    return elementCount(live(this).shape);
  }

  /** The size of all elements in bytes. */
  get byteLength(): number {
    const { shape, dtype } = live(this);
    return elementCount(shape) * dtypeInfo(dtype).itemSize;
  }

  /** True if the elements lie in memory row by row, without gaps. */
  get isContiguous(): boolean {
    const { shape, strides } = live(this);
    return isContiguous(shape, strides);
  }

  /** True after {@link dispose} was called. */
  get disposed(): boolean {
    return checkThis(this).disposed;
  }

  /**
   * The elements as a typed array over the tensor's memory, without a copy. Each read returns the same array. It stays valid
   * after {@link dispose}. The memory lives as long as this array, or anything else over its ArrayBuffer, is in use. In a worker
   * thread, and in hosts that forbid ArrayBuffers over native memory, the first read turns the memory into JavaScript's own.
   * An asynchronous forward then copies such an input during the call, as it copies a caller's typed array. Elsewhere it reads the
   * memory when it runs: do not write before its promise has settled.
   *
   * @throws TokenLearnerError ERR_NOT_CONTIGUOUS (call `contiguous()` first), ERR_DEVICE_MISMATCH for a tensor on a GPU
   * (call `to('cpu')` first), ERR_DISPOSED, ERR_DETACHED.
   */
  get data(): TypedArrayFor<D> {
    const state = live(this);
    checkHost(state, 'read its data');
    const { buffer, byteOffset } = state.storage.host();
    const count = elementCount(state.shape);
    // A tensor without elements has no memory, so its buffer is a new one each time.
    const isCurrent = this.#data !== undefined && (count === 0 || this.#data.buffer === buffer);
    if (!isCurrent) {
      const { itemSize, shown } = dtypeInfo(state.dtype);
      this.#data = new shown(buffer, byteOffset + state.offset * itemSize, count);
    }
    return this.#data as TypedArrayFor<D>;
  }

  /**
   * The only element: a number, a bigint for int64, a boolean for bool.
   *
   * @throws TokenLearnerError ERR_SHAPE_MISMATCH unless the tensor has exactly one element; ERR_DISPOSED, ERR_DETACHED.
   */
  item(): ItemFor<D> {
    const state = live(this);
    const { dtype, shape } = state;
    if (elementCount(shape) === 1) return elementValue(dtype, rawElements(state)[0] ?? 0) as ItemFor<D>;
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected a tensor of one element for item() but this one has shape ${formatShape(shape)}`,
    );
  }

  /**
   * Returns a copy of the elements in nested arrays, one level per dimension; the element itself for a tensor without dimensions.
   * Elements are numbers, bigints for int64, booleans for bool. The tensor may have any strides and be on any device.
   *
   * @throws TokenLearnerError ERR_DISPOSED, ERR_DETACHED, ERR_OUT_OF_MEMORY.
   */
  toArray(): Nested<ItemFor<D>> {
    const state = live(this);
    const raw = rawElements(state);
    return nested((i) => elementValue(state.dtype, raw[i] ?? 0) as ItemFor<D>, state.shape);
  }

  /**
   * True if both tensors have the same dtype, shape and device, and equal elements. As in `torch.equal`, NaN equals nothing, and
   * -0 equals 0.
   *
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE if `other` is not a tensor; ERR_DISPOSED, ERR_DETACHED.
   */
  equals(other: AnyTensor): boolean {
    return equals(live(this), other);
  }

  /**
   * True if all elements are close: `|this - other| <= atol + rtol * |other|`, as in `torch.allclose`, computed in double. An
   * infinity is close to itself only. Shapes are not broadcast.
   *
   * @throws TokenLearnerError ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE,
   * ERR_OUT_OF_RANGE for a negative tolerance, ERR_DISPOSED, ERR_DETACHED.
   */
  allClose(other: AnyTensor, options?: AllCloseOptions): boolean {
    return allClose(live(this), other, options);
  }

  /**
   * Copies the elements, row by row, into a typed array. The tensor may have any strides and be on any device. Unlike
   * {@link data}, this does not show the memory to JavaScript, so {@link dispose} can free it at once.
   *
   * @param target - a typed array of the tensor's dtype and number of elements.
   * @returns `target`.
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH if the length differs,
   * ERR_UNSUPPORTED_BUFFER, ERR_DETACHED, ERR_DISPOSED.
   */
  copyTo<A extends TypedArrayFor<D>>(target: A): A {
    const state = live(this);
    const bytes = bytesOf('target', target, state.dtype, state.shape);
    withHosted(this as unknown as AnyTensor, state, (host) => {
      binding().read(tensorArgument('tensor', host), bytes);
    });
    return target;
  }

  /**
   * Copies a typed array into the elements, row by row. The tensor must be contiguous and on the CPU. Unlike writing into
   * {@link data}, this does not show the memory to JavaScript. Forwards and asynchronous copies that were called before keep the
   * old elements, unless {@link data} was read: then await them first.
   *
   * @param source - a typed array of the tensor's dtype and number of elements.
   * @returns the tensor itself.
   * @throws TokenLearnerError the errors of {@link copyTo}; ERR_NOT_CONTIGUOUS; ERR_DEVICE_MISMATCH for a tensor on a GPU.
   */
  copyFrom(source: TypedArrayFor<D>): this {
    const state = live(this);
    checkHost(state, 'write its elements');
    binding().write(tensorArgument('tensor', this), bytesOf('source', source, state.dtype, state.shape));
    return this;
  }

  /**
   * Moves the elements into an ArrayBuffer that can be transferred to another thread, and disposes the tensor:
   * `const buffer = y.detachBuffer(); parentPort.postMessage(buffer, [buffer])`. The buffer outlives the thread that created it.
   *
   * Nothing is copied if the memory is the tensor's own and the tensor covers all of it: in a worker thread on every version of
   * Node, on the main thread from Node 22 on. Typed arrays from {@link data} are then empty, and other tensors over the memory
   * throw ERR_DETACHED.
   *
   * @throws TokenLearnerError ERR_DISPOSED, ERR_DETACHED, ERR_OUT_OF_MEMORY, ERR_OUT_OF_RANGE.
   */
  detachBuffer(): ArrayBuffer {
    const buffer = withHosted(this as unknown as AnyTensor, live(this), movedOut);
    this.dispose();
    return buffer;
  }

  /**
   * Offers the elements to the other threads of this process: `worker.postMessage(x.share())`, and there
   * `openShared(token)`. All of them read the same memory, which nobody writes to: {@link data} of such a tensor, this one
   * included, is a copy, and {@link copyFrom} makes one first. So a later change is seen by nobody else.
   *
   * Nothing is copied if JavaScript has not seen the memory. Memory that V8 owns (see {@link data}) is copied during the call.
   *
   * @returns a token. It ends when it is disposed, and with this thread.
   * @throws TokenLearnerError ERR_DISPOSED, ERR_DETACHED, ERR_OUT_OF_MEMORY.
   */
  share(): Shared<Tensor<D>> {
    live(this);
    return shareTensor(this as unknown as Tensor<D>);
  }

  /**
   * Moves the tensor to another thread of this process, and disposes it here: `parentPort.postMessage(y.move())`, and there
   * `openShared(token)`. The first who opens the token gets the tensor; this thread may have ended by then.
   *
   * Nothing is copied if JavaScript has not seen the memory. Memory that V8 owns (see {@link data}) is copied during the call;
   * {@link detachBuffer} moves that.
   *
   * @returns a token. The memory stays until it is opened or disposed.
   * @throws TokenLearnerError ERR_DISPOSED, ERR_DETACHED, ERR_OUT_OF_MEMORY.
   */
  move(): Shared<Tensor<D>> {
    live(this);
    return moveTensor(this as unknown as Tensor<D>);
  }

  /**
   * Releases the tensor's memory. Memory that JavaScript has not seen is freed once no other tensor views it and no run uses it.
   * If {@link data} was read, its ArrayBuffer must be collected too. A second call does nothing.
   */
  dispose(): void {
    const state = checkThis(this);
    if (state.disposed) return;
    state.disposed = true;
    this.#data = undefined;
    state.storage.release();
  }

  /** Calls {@link dispose} at the end of a `using` block. */
  [Symbol.dispose](): void {
    checkThis(this);
    this.dispose();
  }

  /**
   * Returns the object that JSON.stringify writes. `Tensor.from` converts it back. Copies the elements; 16-bit floats become
   * numbers.
   *
   * @param key - JSON.stringify passes the name of the property. Test runners, which print values, pass none; for them a tensor
   * without elements gives an object whose `data` throws.
   * @returns `dtype`, `shape`, and `data` as nested arrays. 64-bit integers are strings. Numbers that are not finite are 'NaN',
   * 'Infinity' and '-Infinity'.
   * @throws TokenLearnerError ERR_DISPOSED, ERR_DETACHED, ERR_OUT_OF_MEMORY.
   */
  toJSON(key?: string): TensorJSON<D> {
    const state = key === undefined ? checkThis(this) : live(this);
    const { dtype, shape } = state;
    const reason = key === undefined ? unreadable(state) : undefined;
    if (reason !== undefined) return unreadableJSON(dtype as D, shape, reason, () => rawElements(live(this)));
    return tensorJSON(dtype as D, shape, rawElements(state));
  }

  /** Returns the text that console.log prints: PyTorch's repr. */
  [inspectSymbol](): string {
    const state = checkThis(this);
    const { dtype, device, shape, strides } = state;
    const reason = unreadable(state);
    const print = (strides: Shape, element?: (offset: number) => number | bigint): string =>
      formatTensor({ dtype, device, shape, strides, element, state: reason });
    if (reason !== undefined) return print(strides);
    if (device === 'cpu') return print(strides, elementReader(state));
    if (elementCount(shape) > THRESHOLD) return print(strides);
    return temporary(copied(state, dtype, 'cpu'), (host) => print(host.strides, elementReader(live(host))));
  }

  /** Returns the shape, dtype and device in one line. */
  toString(): string {
    const { dtype, device, shape } = checkThis(this);
    return `Tensor(${formatShape(shape)}, ${dtype}, ${device})`;
  }
}
