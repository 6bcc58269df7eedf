/**
 * The Tensor class. Long because the class's private state cannot be shared between files.
 */
import '../dispose';
import { types } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { binding, requireLibtorch } from '../binding';
import {
  type Device,
  deviceCode,
  deviceFromCode,
  type DeviceOption,
  isDeviceOption,
  resolveDevice,
} from '../device';
import {
  type DefaultDType,
  type DType,
  dtypeFromCode,
  dtypeInfo,
  DTYPES,
  isDType,
  type TypedArray,
  type TypedArrayFor,
} from '../dtype';
import { TokenLearnerError } from '../errors';
import type { NativeTensor, TensorArg } from '../native-interface';
import {
  checkDimension,
  checkIntegers,
  checkShape,
  contiguousStrides,
  elementCount,
  formatShape,
  isContiguous,
  resolveReshape,
  type Shape,
  viewStrides,
} from '../shape';
import { uncloneable } from '../uncloneable';
import { checkOneOf, checkOptions, describe, isPlainObject, unexpected } from '../validate';
import { arrayDType, bytesOf, checkLength, fillValue, tensorOptions } from './arguments';
import { formatTensor, inspectSymbol } from './format';
import { flattened, fromJsonElement, jsonElement, nested, type Nested, type TensorJSON } from './numbers';
import { Storage } from './storage';
import { lengthOf, transferBuffer, typedArrayOf } from './typed-array';

/** A tensor of any dtype. */
export type AnyTensor = Tensor<DType>;

/** How a tensor is made. */
export interface TensorOptions<D extends DType = DType> {
  /** Element type. @default 'float32' */
  dtype?: D;
  /** Where its memory is. @default 'cpu' */
  device?: DeviceOption;
  /**
   * Host memory that a GPU copies without staging (page-locked). Where there is no usable GPU it is ordinary memory.
   * @default false
   */
  pinned?: boolean;
}

/** A tensor's place in its memory. @internal */
export interface View {
  storage: Storage;
  dtype: DType;
  device: Device;
  shape: Shape;
  strides: Shape;
  /** Elements from the storage's beginning. */
  offset: number;
}

const FACTORY = Symbol('factory');
const FLOATING = DTYPES.filter((dtype) => dtypeInfo(dtype).floating);

// They need the private fields, and must work on a `this` that has none.
let checkThis: (self: unknown) => void;
let live: (self: unknown, name?: string) => View;
let toArgument: (name: string, value: unknown) => TensorArg;
let adopt: (native: NativeTensor) => AnyTensor;
let hold: (name: string, value: unknown) => View;

/**
 * A strided view of counted memory, on the CPU or a GPU.
 *
 * On the CPU `data` is a typed array over the tensor's own memory: write into it, run, read the result; nothing is copied.
 * Memory is freed when the tensor is disposed or collected and no run still uses it. Memory that `data` has shown is freed
 * when its ArrayBuffer is collected too: what Node's own calls (sockets, files, crypto) do with it goes on safely. Use
 * {@link copyTo} and {@link copyFrom} where memory must be given back at the moment of {@link dispose}.
 */
export class Tensor<D extends DType = 'float32'> {
  /** Makes structured cloning throw, with this text, instead of giving `{}`. @internal */
  readonly cloning = uncloneable('a Tensor; send tensor.detachBuffer() and its shape');
  readonly #view: View;
  #data: TypedArray | undefined;
  #disposed = false;

  static {
    const isTensor = (value: unknown): value is AnyTensor =>
      typeof value === 'object' && value !== null && #view in value;
    checkThis = (self) => {
      if (isTensor(self)) return;
      throw new TokenLearnerError(
        'ERR_INVALID_THIS',
        `Expected \`this\` to be a Tensor but received ${describe(self)}`,
      );
    };
    live = (self, name) => {
      checkThis(self);
      const tensor = self as AnyTensor;
      if (!tensor.#disposed) return tensor.#view;
      throw new TokenLearnerError(
        'ERR_DISPOSED',
        name === undefined ? 'The tensor was disposed' : `\`${name}\` was disposed`,
      );
    };
    toArgument = (name, value) => {
      if (!isTensor(value)) throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a Tensor', value);
      const { storage, dtype, shape, strides, offset } = live(value, name);
      return { storage: storage.argument(), dtype: dtypeInfo(dtype).code, shape, strides, offset };
    };
    hold = (name, value) => {
      if (!isTensor(value)) throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a Tensor', value);
      const view = live(value, name);
      view.storage.acquire();
      return view;
    };
    adopt = ({ storage, dtype: code, device, shape, strides, offset }) => {
      const dtype = dtypeFromCode(code);
      const bytes = elementCount(shape, dtypeInfo(dtype).itemSize) * dtypeInfo(dtype).itemSize;
      return Tensor.#make({
        storage: Storage.native(storage, bytes),
        dtype,
        device: deviceFromCode(device),
        shape,
        strides,
        offset,
      });
    };
  }

  /** Tensors are made by the static methods: `Tensor.zeros(...)`, `Tensor.from(...)`. */
  private constructor(key: symbol, view: View) {
    if (key !== FACTORY) {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        'Tensors are made by Tensor.zeros, Tensor.from and the like',
      );
    }
    this.#view = view;
  }

  static #make<D extends DType>(view: View): Tensor<D> {
    view.storage.acquire();
    return new Tensor<D>(FACTORY, {
      ...view,
      shape: Object.freeze([...view.shape]),
      strides: Object.freeze([...view.strides]),
    });
  }

  static #allocate<D extends DType>(shape: unknown, options: unknown, zeroed: boolean): Tensor<D> {
    const { dtype, device, pinned } = tensorOptions(options);
    const made = Tensor.#native(checkShape('shape', shape), dtype, zeroed, pinned);
    return (made as Tensor<D>).#moved(device);
  }

  /** A tensor in new native memory. */
  static #native<D extends DType>(shape: Shape, dtype: D, zeroed = false, pinned = false): Tensor<D> {
    const native = pinned ? requireLibtorch() : binding();
    const { itemSize } = dtypeInfo(dtype);
    const bytes = elementCount(shape, itemSize) * itemSize;
    return Tensor.#make<D>({
      storage: Storage.native(native.allocate(bytes, zeroed, pinned), bytes),
      dtype,
      device: 'cpu',
      shape,
      strides: contiguousStrides(shape),
      offset: 0,
    });
  }

  /**
   * Uninitialised native memory. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE or ERR_OUT_OF_MEMORY, as all that make tensors.
   *
   * @param shape - sizes, each an integer of at least 0; `[]` is a single number.
   */
  static empty<D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    return Tensor.#allocate<D>(shape, options, false);
  }

  /** Zeros. */
  static zeros<D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    return Tensor.#allocate<D>(shape, options, true);
  }

  /** Ones. */
  static ones<D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    return Tensor.full(shape, 1, options);
  }

  /**
   * The same value everywhere.
   *
   * @param value - a number; a bigint or an integer for int64; a number or boolean for bool.
   */
  static full<D extends DType = 'float32'>(
    shape: Shape,
    value: number | bigint | boolean,
    options?: TensorOptions<D>,
  ): Tensor<D> {
    const { dtype, device, pinned } = tensorOptions(options);
    const element = typedArrayOf([fillValue('value', value, dtype)], directDType(dtype));
    const made = Tensor.#native(checkShape('shape', shape), dtype, false, pinned);
    binding().fill(toArgument('tensor', made), rounded(element, dtype));
    return (made as Tensor<D>).#moved(device);
  }

  /**
   * Independent normal numbers, mean 0 and variance 1, from the generator that {@link manualSeed} seeds. The stream and the
   * method are those of `torch.randn` on the CPU; a value may differ from PyTorch's in its last bits.
   */
  static randn<D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    const { dtype, device, pinned } = tensorOptions(options);
    checkOneOf('options.dtype', dtype, FLOATING);
    const direct = directDType(dtype);
    const sizes = checkShape('shape', shape);
    const made = Tensor.#native(sizes, direct, false, pinned && direct === dtype);
    binding().normal(toArgument('tensor', made));
    const converted = made.#converted(dtype) as Tensor<D>;
    if (!pinned || direct === dtype) return converted.#moved(device);
    const target = Tensor.#native<DType>(sizes, dtype, false, true) as Tensor<D>;
    target.copyFrom(converted.copyTo(typedArrayOf(converted.numel, dtype) as TypedArrayFor<D>));
    converted.dispose();
    return target.#moved(device);
  }

  /**
   * A tensor over a typed array's own memory, without a copy: what one writes the other sees. Numbers, nested arrays of them,
   * and what {@link toJSON} gave are copied. A synchronous forward uses the memory in place, an asynchronous one copies it when it is
   * called.
   *
   * `options.dtype` defaults to the array's own: Float16Array and Uint16Array are float16 (or say 'bfloat16' for the latter),
   * Uint8Array is uint8 (or say 'bool'); numbers are float32.
   *
   * @param data - a typed array (also a view into a larger buffer); a number or nested arrays of numbers (as strings, too, where
   * JSON has them so); or what {@link toJSON} gave.
   * @param shape - @default the array's: `[data.length]` for a typed array.
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE; ERR_DTYPE_MISMATCH; ERR_SHAPE_MISMATCH where the length is not the
   * shape's; ERR_UNSUPPORTED_BUFFER for shared and resizable buffers.
   */
  static from<A extends TypedArray>(data: A, shape?: Shape): Tensor<DefaultDType<A>>;
  static from<D extends DType>(
    data: TypedArrayFor<D>,
    shape: Shape | undefined,
    options: { dtype: D },
  ): Tensor<D>;
  static from<D extends DType>(data: TensorJSON<D>): Tensor<D>;
  static from<D extends DType = 'float32'>(
    data: Nested<number | bigint | boolean | string>,
    shape?: Shape,
    options?: { dtype?: D },
  ): Tensor<D>;
  static from(
    data: TypedArray | Nested<number | bigint | boolean | string> | TensorJSON,
    shape?: Shape,
    options?: { dtype?: DType },
  ): AnyTensor {
    if (isPlainObject(data)) return fromJSON(data, shape, options);
    const { dtype } = checkOptions('options', options, ['dtype']);
    if (dtype !== undefined) checkOneOf('options.dtype', dtype, DTYPES);
    if (Array.isArray(data) || ['number', 'bigint', 'boolean'].includes(typeof data))
      return fromNumbers(data, shape, dtype as DType | undefined);
    if (!types.isTypedArray(data)) {
      throw unexpected(
        'ERR_INVALID_ARG_TYPE',
        'data',
        'a typed array, a number, or nested arrays of numbers',
        data,
      );
    }
    const array = data;
    const chosen = arrayDType(array, dtype as DType | undefined);
    const storage = Storage.borrow(array);
    const sizes = checkLength(lengthOf(array), shape);
    return Tensor.#make({
      storage,
      dtype: chosen,
      device: 'cpu',
      shape: sizes,
      strides: contiguousStrides(sizes),
      offset: 0,
    });
  }

  /** Sizes of the dimensions. */
  get shape(): Shape {
    return live(this).shape;
  }

  /** Elements from one index to the next, for each dimension. */
  get strides(): Shape {
    return live(this).strides;
  }

  /** Element type. */
  get dtype(): D {
    return live(this).dtype as D;
  }

  /** 'cpu' or 'cuda:N'. */
  get device(): Device {
    return live(this).device;
  }

  /** Number of dimensions. */
  get ndim(): number {
    return live(this).shape.length;
  }

  /** Number of elements. */
  get numel(): number {
    return elementCount(live(this).shape);
  }

  /** Bytes of the elements. */
  get byteLength(): number {
    const { shape, dtype } = live(this);
    return elementCount(shape) * dtypeInfo(dtype).itemSize;
  }

  /** Whether the elements lie in memory row by row, without gaps. */
  get isContiguous(): boolean {
    const { shape, strides } = live(this);
    return isContiguous(shape, strides);
  }

  /** Whether {@link dispose} was called. */
  get disposed(): boolean {
    checkThis(this);
    return this.#disposed;
  }

  /**
   * The elements as a typed array over the tensor's memory, without a copy; the same array each time. It stays valid after
   * {@link dispose}, and keeps the memory for as long as it, or anything else over its ArrayBuffer, is in use. In a worker
   * thread, and in runtimes that forbid ArrayBuffers over native memory, the memory is JavaScript's own from the first read
   * on: there an asynchronous forward copies such an input when it is called, as it copies a caller's typed array.
   *
   * @throws TokenLearnerError ERR_NOT_CONTIGUOUS (call `contiguous()` first), ERR_DEVICE_MISMATCH for a tensor on a GPU
   * (call `to('cpu')` first), ERR_DISPOSED, ERR_DETACHED.
   */
  get data(): TypedArrayFor<D> {
    const view = live(this);
    checkHost(view, 'read its data');
    const { buffer } = view.storage.host();
    const count = elementCount(view.shape);
    // No elements, no memory: every such buffer is a new one.
    const isCurrent = this.#data !== undefined && (count === 0 || this.#data.buffer === buffer);
    if (!isCurrent) this.#data = this.#elements(count);
    return this.#data as TypedArrayFor<D>;
  }

  /**
   * The same elements under another shape: a view where strides allow it, else a copy, as `torch.reshape`.
   *
   * @param shape - sizes; one of them may be -1 and takes what is left.
   * @throws TokenLearnerError ERR_SHAPE_MISMATCH where the number of elements differs.
   */
  reshape(shape: Shape): Tensor<D> {
    const view = live(this);
    const sizes = resolveReshape('shape', shape, view.shape);
    const strides = viewStrides(view.shape, view.strides, sizes);
    if (strides !== undefined) return Tensor.#make<D>({ ...view, shape: sizes, strides });
    return this.#temporary(this.#copied(view.dtype, view.device), (copy) => copy.reshape(sizes)) as Tensor<D>;
  }

  /** A view with the dimensions in another order. */
  permute(dimensions: readonly number[]): Tensor<D> {
    const view = live(this);
    const order = checkIntegers('dimensions', dimensions, {}).map((value, i) =>
      checkDimension(`dimensions[${i}]`, value, view.shape.length),
    );
    if (order.length !== view.shape.length || new Set(order).size !== order.length) {
      throw unexpected(
        'ERR_INVALID_ARG_VALUE',
        'dimensions',
        `each of the ${view.shape.length} dimensions once`,
        dimensions,
      );
    }
    return Tensor.#make<D>({
      ...view,
      shape: order.map((d) => view.shape[d] ?? 0),
      strides: order.map((d) => view.strides[d] ?? 0),
    });
  }

  /** A view with two dimensions swapped; negative ones count from the end. */
  transpose(first: number, second: number): Tensor<D> {
    const { shape } = live(this);
    const a = checkDimension('first', first, shape.length);
    const b = checkDimension('second', second, shape.length);
    return this.permute(shape.map((_, d) => (d === a ? b : d === b ? a : d)));
  }

  /**
   * The tensor with another dtype or on another device: itself where that changes nothing, else a copy.
   *
   * @throws TokenLearnerError ERR_INVALID_ARG_VALUE, ERR_CUDA_UNAVAILABLE, ERR_OUT_OF_MEMORY.
   */
  to(device: DeviceOption): Tensor<D>;
  to<E extends DType>(dtype: E): Tensor<E>;
  to(target: DeviceOption | DType): AnyTensor;
  to(target: DeviceOption | DType): AnyTensor {
    const view = live(this);
    if (isDType(target)) return target === view.dtype ? this : this.#copied(target, view.device);
    if (typeof target === 'string' && !isDeviceOption(target)) {
      throw unexpected('ERR_INVALID_ARG_VALUE', 'target', 'a dtype or a device', target);
    }
    const device = resolveDevice('target', target);
    return device === view.device ? this : this.#copied(view.dtype, device);
  }

  /** A contiguous copy in native memory. */
  clone(): Tensor<D> {
    const view = live(this);
    return this.#copied(view.dtype, view.device) as Tensor<D>;
  }

  /** Itself where it is contiguous, else a contiguous copy. */
  contiguous(): Tensor<D> {
    const { shape, strides } = live(this);
    return isContiguous(shape, strides) ? this : this.clone();
  }

  /**
   * Copies the elements, row by row, into a typed array: of a tensor of any strides, on any device. Unlike {@link data} it
   * shows JavaScript nothing of the memory, which {@link dispose} can then free at once.
   *
   * @param target - a typed array of the tensor's dtype and number of elements.
   * @returns `target`.
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH where the length differs,
   * ERR_UNSUPPORTED_BUFFER, ERR_DETACHED, ERR_DISPOSED.
   */
  copyTo<A extends TypedArrayFor<D>>(target: A): A {
    const view = live(this);
    const bytes = bytesOf('target', target, view.dtype, view.shape);
    const host = this.#hosted();
    try {
      binding().read(toArgument('tensor', host), bytes);
    } finally {
      if (host !== this) host.dispose();
    }
    return target;
  }

  /**
   * Copies a typed array into the elements, row by row, of a contiguous tensor on the CPU. Unlike writing into {@link data}
   * it shows JavaScript nothing of the memory.
   *
   * @param source - a typed array of the tensor's dtype and number of elements.
   * @returns the tensor itself.
   * @throws TokenLearnerError as {@link copyTo}; ERR_NOT_CONTIGUOUS; ERR_DEVICE_MISMATCH for a tensor on a GPU.
   */
  copyFrom(source: TypedArrayFor<D>): this {
    const view = live(this);
    checkHost(view, 'write its elements');
    binding().write(toArgument('tensor', this), bytesOf('source', source, view.dtype, view.shape));
    return this;
  }

  /**
   * Takes the elements out of the tensor as an ArrayBuffer that can be transferred to another thread, and disposes the
   * tensor: `const buffer = y.detachBuffer(); parentPort.postMessage(buffer, [buffer])`. The buffer outlives the thread that
   * made it.
   *
   * Without a copy where the tensor's memory is its own and no other tensor views part of it: in a worker thread on every
   * version of Node, elsewhere from Node 22 on. Typed arrays that {@link data} gave before, and other views of the memory,
   * are empty then: ERR_DETACHED.
   *
   * @throws TokenLearnerError ERR_DISPOSED, ERR_DETACHED, ERR_OUT_OF_MEMORY, ERR_OUT_OF_RANGE.
   */
  detachBuffer(): ArrayBuffer {
    live(this);
    const host = this.#hosted();
    const buffer = host.#movedOut();
    host.dispose();
    this.dispose();
    return buffer;
  }

  /**
   * Gives up the tensor's hold on its memory. Memory that JavaScript has not seen is freed now, as soon as no other tensor
   * views it and no run uses it; memory that {@link data} has shown, when its ArrayBuffer is collected too. Calling it again
   * does nothing.
   */
  dispose(): void {
    checkThis(this);
    if (this.#disposed) return;
    this.#disposed = true;
    this.#data = undefined;
    this.#view.storage.release();
  }

  /** {@link dispose}, for `using`. */
  [Symbol.dispose](): void {
    checkThis(this);
    this.dispose();
  }

  /**
   * What JSON.stringify writes; `Tensor.from` takes it back. Copies the elements; of 16-bit floats it gives the numbers.
   *
   * @returns `dtype`, `shape` and `data`: nested arrays; 64-bit integers as strings, and numbers that are not finite as 'NaN',
   * 'Infinity' and '-Infinity'.
   * @throws TokenLearnerError ERR_DISPOSED, ERR_DETACHED, ERR_OUT_OF_MEMORY.
   */
  toJSON(): TensorJSON<D> {
    const { dtype, shape } = live(this);
    const elements = typedArrayOf(this.numel, dtype);
    this.copyTo(elements as TypedArrayFor<D>);
    return {
      dtype: dtype as D,
      shape: [...shape],
      data: nested((i) => jsonElement(dtype, elements[i] ?? 0), shape),
    };
  }

  /** What console.log shows. */
  [inspectSymbol](): string {
    checkThis(this);
    const { dtype, device, shape, strides } = this.#view;
    let element: ((offset: number) => number | bigint) | undefined;
    let state = this.#disposed ? 'disposed' : undefined;
    if (state === undefined && device === 'cpu') {
      try {
        element = this.#reader();
      } catch {
        state = 'detached';
      }
    }
    return formatTensor({ dtype, device, shape, strides, element, state });
  }

  /** The shape, dtype and device, in one line. */
  toString(): string {
    checkThis(this);
    const { dtype, device, shape } = this.#view;
    return `Tensor(${formatShape(shape)}, ${dtype}, ${device})`;
  }

  #elements(count: number): TypedArray {
    const { storage, dtype, offset } = this.#view;
    const { array, itemSize, shown = array } = dtypeInfo(dtype);
    const { buffer, byteOffset } = storage.host();
    return new shown(buffer, byteOffset + offset * itemSize, count);
  }

  /** Reads single elements, counted from the view's first; it shows JavaScript none of the memory. Throws ERR_DETACHED. */
  #reader(): (offset: number) => number | bigint {
    const { storage, dtype, offset } = this.#view;
    const memory = storage.argument();
    const one = typedArrayOf(1, dtype);
    const { code } = dtypeInfo(dtype);
    return (at) => {
      binding().read({ storage: memory, dtype: code, shape: [], strides: [], offset: offset + at }, one);
      return one[0] ?? 0;
    };
  }

  /** Itself where it is contiguous and on the CPU, else a copy that is. */
  #hosted(): AnyTensor {
    const { shape, strides, dtype, device } = this.#view;
    return device === 'cpu' && isContiguous(shape, strides) ? this : this.#copied(dtype, 'cpu');
  }

  /** The elements of a contiguous tensor on the CPU in a buffer that can be transferred; moved where that is possible. */
  #movedOut(): ArrayBuffer {
    const { storage, dtype, offset } = this.#view;
    if ((transferBuffer !== undefined || !isMainThread) && offset === 0) {
      const { buffer } = storage.host();
      if (storage.ownsBuffer && buffer.byteLength === this.byteLength) {
        return transferBuffer?.(buffer) ?? structuredClone(buffer, { transfer: [buffer] });
      }
    }
    const copy = typedArrayOf(this.numel, dtype);
    this.copyTo(copy as TypedArrayFor<D>);
    return copy.buffer as ArrayBuffer;
  }

  #copied(dtype: DType, device: Device): AnyTensor {
    return adopt(
      requireLibtorch().copy(toArgument('tensor', this), dtypeInfo(dtype).code, deviceCode(device)),
    );
  }

  /** `this` in another dtype; the intermediate is given back at once. */
  #converted(dtype: DType): AnyTensor {
    return dtype === this.#view.dtype
      ? this
      : this.#temporary(this, (from) => from.#copied(dtype, from.#view.device));
  }

  #moved(device: Device): this {
    if (device === this.#view.device) return this;
    return this.#temporary(this, (from) => from.#copied(from.#view.dtype, device)) as this;
  }

  #temporary(tensor: AnyTensor, use: (tensor: AnyTensor) => AnyTensor): AnyTensor {
    try {
      return use(tensor);
    } finally {
      tensor.dispose();
    }
  }
}

/** Throws ERR_DEVICE_MISMATCH or ERR_NOT_CONTIGUOUS unless the view's elements lie in host memory row by row. */
function checkHost({ device, shape, strides }: View, purpose: string): void {
  if (device !== 'cpu') {
    throw new TokenLearnerError(
      'ERR_DEVICE_MISMATCH',
      `The tensor is on ${device}; call to('cpu') to ${purpose}`,
    );
  }
  if (!isContiguous(shape, strides)) {
    throw new TokenLearnerError(
      'ERR_NOT_CONTIGUOUS',
      `A tensor of shape ${formatShape(shape)} and strides ${formatShape(strides)} is not contiguous; call contiguous() to ${purpose}`,
    );
  }
}

/** The dtype that JavaScript and the generator write for `dtype`: libtorch rounds to 16 bits. */
function directDType(dtype: DType): DType {
  return dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype;
}

/** Elements of {@link directDType} as elements of `dtype`. */
function rounded(elements: TypedArray, dtype: DType): TypedArray {
  if (directDType(dtype) === dtype) return elements;
  const exact = Tensor.from(elements);
  const made = exact.to(dtype);
  try {
    return made.copyTo(typedArrayOf(made.numel, dtype) as never);
  } finally {
    exact.dispose();
    made.dispose();
  }
}

/** What {@link Tensor.toJSON} gave. */
function fromJSON(json: Record<string, unknown>, ...rest: unknown[]): AnyTensor {
  if (rest.some((argument) => argument !== undefined)) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      'Expected no `shape` and no `options` beside an object for `data`: it has its own',
    );
  }
  const { dtype, shape, data } = checkOptions('data', json, ['dtype', 'shape', 'data']);
  return fromNumbers(data, checkShape('data.shape', shape), checkOneOf('data.dtype', dtype, DTYPES));
}

function fromNumbers(data: unknown, shape: unknown, asked: DType | undefined): AnyTensor {
  const dtype = asked ?? 'float32';
  const given = flattened(data);
  const sizes = shape === undefined ? given.shape : checkLength(given.values.length, shape);
  const values = given.values.map((value) => fillValue('data', fromJsonElement(value, dtype), dtype));
  const elements = rounded(typedArrayOf(values, directDType(dtype)), dtype);
  return Tensor.empty(sizes, { dtype }).copyFrom(elements);
}

/** A tensor as native code takes it. Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED, ERR_DETACHED. */
export function tensorArgument(name: string, value: unknown): TensorArg {
  return toArgument(name, value);
}

/** A tensor over what native code gave. */
export function adoptTensor(native: NativeTensor): AnyTensor {
  return adopt(native);
}

/**
 * Holds a tensor's memory, also when the tensor is disposed, until `storage.release()` is called on the result. Throws
 * ERR_INVALID_ARG_TYPE, ERR_DISPOSED. @internal
 */
export function holdTensor(name: string, value: unknown): View {
  return hold(name, value);
}
