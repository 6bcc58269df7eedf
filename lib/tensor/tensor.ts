/**
 * The Tensor class. Long because the class's private state cannot be shared between files.
 */
import '../dispose';
import { types } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { binding } from '../binding';
import {
  type Device,
  deviceCode,
  deviceFromCode,
  type DeviceOption,
  hasUsableGpu,
  isDeviceOption,
  resolveDevice,
} from '../device';
import {
  type DefaultDType,
  type DType,
  dtypeFromCode,
  dtypeInfo,
  DTYPES,
  type FloatDType,
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
import { fromImage, type FromImageOptions, fromImageSync } from './image';
import type { ImageInput } from './image-input';
import { type PixelImage, toImage, type ToImageOptions } from './image-output';
import { flattened, fromJsonElement, jsonElement, nested, type Nested, type TensorJSON } from './numbers';
import { Storage } from './storage';
import { lengthOf, transferBuffer, typedArrayOf } from './typed-array';

/** A tensor of any dtype. */
export type AnyTensor = Tensor<DType>;

/** Options for creating a tensor. */
export interface TensorOptions<D extends DType = DType> {
  /** The element type. @default 'float32' */
  dtype?: D;
  /** The device of its memory. @default 'cpu' */
  device?: DeviceOption;
  /**
   * Uses page-locked host memory, which a GPU copies without staging. Without a usable GPU it is ordinary memory.
   * @default false
   */
  pinned?: boolean;
}

/** A tensor's view of its memory. @internal */
export interface View {
  storage: Storage;
  dtype: DType;
  device: Device;
  shape: Shape;
  strides: Shape;
  /** The first element's position in the storage, in elements. */
  offset: number;
}

const FACTORY = Symbol('factory');
const FLOATING = DTYPES.filter((dtype) => dtypeInfo(dtype).floating);

// These functions need the private fields. They must also work on a `this` that has none.
let checkThis: (self: unknown) => void;
let live: (self: unknown, name?: string) => View;
let toArgument: (name: string, value: unknown) => TensorArg;
let adopt: (native: NativeTensor) => AnyTensor;
let hold: (name: string, value: unknown) => View;

/**
 * A strided view of counted memory, on the CPU or a GPU.
 *
 * On the CPU `data` is a typed array over the tensor's own memory. Write into it, run a model, read the result: nothing is
 * copied. Memory is freed once the tensor is disposed or collected and no run uses it. If `data` was read, its ArrayBuffer must
 * be collected too, so Node's own calls (sockets, files, crypto) can safely keep using it. Use {@link copyTo} and
 * {@link copyFrom} instead of `data` if {@link dispose} must free the memory at once.
 */
export class Tensor<D extends DType = 'float32'> {
  /** Makes structured cloning throw with this text. Without it a clone would be `{}`. @internal */
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

  /** Not for callers: create tensors with the static methods, such as `Tensor.zeros` and `Tensor.from`. */
  private constructor(key: symbol, view: View) {
    if (key !== FACTORY) {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        'Create tensors with the static methods, such as Tensor.zeros and Tensor.from',
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

  /** Creates a tensor in new native memory. */
  static #native<D extends DType>(shape: Shape, dtype: D, zeroed = false, pinned = false): Tensor<D> {
    const { itemSize } = dtypeInfo(dtype);
    const bytes = elementCount(shape, itemSize) * itemSize;
    return Tensor.#make<D>({
      storage: Storage.native(binding().allocate(bytes, zeroed, pinned && hasUsableGpu()), bytes),
      dtype,
      device: 'cpu',
      shape,
      strides: contiguousStrides(shape),
      offset: 0,
    });
  }

  /**
   * Creates a tensor in uninitialised native memory. Like all methods that create tensors, it throws ERR_INVALID_ARG_TYPE,
   * ERR_OUT_OF_RANGE or ERR_OUT_OF_MEMORY.
   *
   * @param shape - the sizes, each an integer of at least 0; `[]` is a single number.
   */
  static empty<D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    return Tensor.#allocate<D>(shape, options, false);
  }

  /** Creates a tensor of zeros. */
  static zeros<D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    return Tensor.#allocate<D>(shape, options, true);
  }

  /** Creates a tensor of ones. */
  static ones<D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    return Tensor.full(shape, 1, options);
  }

  /**
   * Creates a tensor with the same value everywhere.
   *
   * @param value - a number; for int64 a bigint or an integer; for bool a number or a boolean.
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
   * Creates a tensor of independent normal numbers with mean 0 and variance 1, from the generator that {@link manualSeed} seeds.
   * The stream and the method are those of `torch.randn` on the CPU. A value may differ from PyTorch's in its last bits.
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
   * Creates a tensor over a typed array's own memory, without a copy, so that each sees what is written into the other. Copies a
   * number, nested arrays of numbers, and a result of {@link toJSON}. A synchronous forward uses a typed array's memory in place.
   * An asynchronous forward copies it during the call.
   *
   * `options.dtype` defaults to the array's dtype. It is float16 for Float16Array and Uint16Array (pass 'bfloat16' to read the
   * latter's bits so), uint8 for Uint8Array (or pass 'bool'), and float32 for numbers.
   *
   * @param data - a typed array, which may be a view into a larger buffer; a number or nested arrays of numbers, with strings for
   * the numbers that {@link toJSON} writes as strings; or a result of {@link toJSON}.
   * @param shape - @default the shape of `data`; for a typed array `[data.length]`.
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE; ERR_DTYPE_MISMATCH; ERR_SHAPE_MISMATCH if `data` and `shape` differ in
   * length; ERR_UNSUPPORTED_BUFFER for shared and resizable buffers.
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

  /**
   * Converts decoded pictures to a tensor of shape (N, C, H, W), where C is 3, or 1 for grey. Alpha is dropped. The numbers are
   * those of torchvision's Resize, CenterCrop, ToTensor and Normalize, bit for bit; docs/pictures.md has the rules. Runs on the
   * CPU's executor thread, after one copy of the pictures; needs no libtorch.
   *
   * @param image - one picture (N is 1), or an array of pictures.
   * @throws TokenLearnerError (as a rejection) ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; ERR_OUT_OF_RANGE, also for a `crop`
   * larger than the picture; ERR_SHAPE_MISMATCH for pictures of unequal sizes and bytes that do not match the size;
   * ERR_UNSUPPORTED_BUFFER for shared and resizable buffers; ERR_DETACHED, ERR_OUT_OF_MEMORY, ERR_QUEUE_FULL, ERR_CLOSED.
   */
  static async fromImage<D extends FloatDType = 'float32'>(
    image: ImageInput | readonly ImageInput[],
    options?: FromImageOptions<D>,
  ): Promise<Tensor<D>> {
    return adopt(await fromImage(image, options)) as Tensor<D>;
  }

  /** Computes the same numbers as {@link fromImage} on the calling thread, from the pictures' own memory, and blocks it. */
  static fromImageSync<D extends FloatDType = 'float32'>(
    image: ImageInput | readonly ImageInput[],
    options?: FromImageOptions<D>,
  ): Tensor<D> {
    return adopt(fromImageSync(image, options)) as Tensor<D>;
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
    checkThis(this);
    return this.#disposed;
  }

  /**
   * The elements as a typed array over the tensor's memory, without a copy. Each read returns the same array. It stays valid
   * after {@link dispose}. The memory lives as long as this array, or anything else over its ArrayBuffer, is in use. In a worker
   * thread, and in hosts that forbid ArrayBuffers over native memory, the first read turns the memory into JavaScript's own.
   * An asynchronous forward then copies such an input during the call, as it copies a caller's typed array.
   *
   * @throws TokenLearnerError ERR_NOT_CONTIGUOUS (call `contiguous()` first), ERR_DEVICE_MISMATCH for a tensor on a GPU
   * (call `to('cpu')` first), ERR_DISPOSED, ERR_DETACHED.
   */
  get data(): TypedArrayFor<D> {
    const view = live(this);
    checkHost(view, 'read its data');
    const { buffer } = view.storage.host();
    const count = elementCount(view.shape);
    // A tensor without elements has no memory, so its buffer is a new one each time.
    const isCurrent = this.#data !== undefined && (count === 0 || this.#data.buffer === buffer);
    if (!isCurrent) this.#data = this.#elements(count);
    return this.#data as TypedArrayFor<D>;
  }

  /**
   * Returns the same elements under another shape. As in `torch.reshape` the result is a view if the strides allow it, and a
   * copy otherwise.
   *
   * @param shape - the sizes. One of them may be -1; the number of elements then determines it.
   * @throws TokenLearnerError ERR_SHAPE_MISMATCH if the number of elements differs.
   */
  reshape(shape: Shape): Tensor<D> {
    const view = live(this);
    const sizes = resolveReshape('shape', shape, view.shape);
    const strides = viewStrides(view.shape, view.strides, sizes);
    if (strides !== undefined) return Tensor.#make<D>({ ...view, shape: sizes, strides });
    return this.#temporary(this.#copied(view.dtype, view.device), (copy) => copy.reshape(sizes)) as Tensor<D>;
  }

  /** Returns a view with the dimensions in another order; negative ones count from the end. */
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

  /** Returns a view with two dimensions swapped; negative ones count from the end. */
  transpose(first: number, second: number): Tensor<D> {
    const { shape } = live(this);
    const a = checkDimension('first', first, shape.length);
    const b = checkDimension('second', second, shape.length);
    return this.permute(shape.map((_, d) => (d === a ? b : d === b ? a : d)));
  }

  /**
   * Returns a copy with another dtype or on another device, or the tensor itself if nothing would change.
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

  /** Returns a contiguous copy in native memory. */
  clone(): Tensor<D> {
    const view = live(this);
    return this.#copied(view.dtype, view.device) as Tensor<D>;
  }

  /** Returns the tensor itself if it is contiguous, otherwise a contiguous copy. */
  contiguous(): Tensor<D> {
    const { shape, strides } = live(this);
    return isContiguous(shape, strides) ? this : this.clone();
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
   * Copies a typed array into the elements, row by row. The tensor must be contiguous and on the CPU. Unlike writing into
   * {@link data}, this does not show the memory to JavaScript.
   *
   * @param source - a typed array of the tensor's dtype and number of elements.
   * @returns the tensor itself.
   * @throws TokenLearnerError the errors of {@link copyTo}; ERR_NOT_CONTIGUOUS; ERR_DEVICE_MISMATCH for a tensor on a GPU.
   */
  copyFrom(source: TypedArrayFor<D>): this {
    const view = live(this);
    checkHost(view, 'write its elements');
    binding().write(toArgument('tensor', this), bytesOf('source', source, view.dtype, view.shape));
    return this;
  }

  /**
   * Converts one picture of a tensor on the CPU, of shape (N, C, H, W) or (C, H, W) where C is 1 or 3, back to pixels. `mean` and
   * `std` are those of {@link fromImage}, and are undone. A number x becomes x * 255, rounded to the nearest integer and clamped to
   * 0 ... 255.
   *
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH; ERR_OUT_OF_RANGE,
   * also for NaN; ERR_DEVICE_MISMATCH for a tensor on a GPU; ERR_DISPOSED, ERR_DETACHED, ERR_OUT_OF_MEMORY.
   */
  toImage(options?: ToImageOptions): PixelImage {
    return toImage(live(this), options);
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
    live(this);
    const host = this.#hosted();
    const buffer = host.#movedOut();
    host.dispose();
    this.dispose();
    return buffer;
  }

  /**
   * Releases the tensor's memory. Memory that JavaScript has not seen is freed once no other tensor views it and no run uses it.
   * If {@link data} was read, its ArrayBuffer must be collected too. A second call does nothing.
   */
  dispose(): void {
    checkThis(this);
    if (this.#disposed) return;
    this.#disposed = true;
    this.#data = undefined;
    this.#view.storage.release();
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
   * @returns `dtype`, `shape`, and `data` as nested arrays. 64-bit integers are strings. Numbers that are not finite are 'NaN',
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

  /** Returns the text that console.log prints. */
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

  /** Returns the shape, dtype and device in one line. */
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

  /** A reader of single elements, counted from the view's first. It does not show the memory to JavaScript. Throws ERR_DETACHED. */
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

  /** Returns the tensor itself if it is contiguous and on the CPU, otherwise a copy that is. */
  #hosted(): AnyTensor {
    const { shape, strides, dtype, device } = this.#view;
    return device === 'cpu' && isContiguous(shape, strides) ? this : this.#copied(dtype, 'cpu');
  }

  /** Returns a contiguous CPU tensor's elements in a transferable buffer. Moves the memory if possible, otherwise copies it. */
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
    return adopt(binding().copy(toArgument('tensor', this), dtypeInfo(dtype).code, deviceCode(device)));
  }

  /** Returns `this` in another dtype. If that is a copy, disposes `this`. */
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

/** Throws ERR_DEVICE_MISMATCH or ERR_NOT_CONTIGUOUS unless the view's elements lie row by row in host memory. */
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

/** The dtype to write before libtorch converts to `dtype`: float32 for 16-bit floats, since libtorch does the rounding. */
function directDType(dtype: DType): DType {
  return dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype;
}

/** Converts elements of {@link directDType} to elements of `dtype`. */
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

/** Creates a tensor from a result of {@link Tensor.toJSON}. */
function fromJSON(json: Record<string, unknown>, ...rest: unknown[]): AnyTensor {
  if (rest.some((argument) => argument !== undefined)) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      'Expected neither `shape` nor `options` with an object for `data`: the object has its own',
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

/** Converts a tensor to an argument of native code. Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED, ERR_DETACHED. */
export function tensorArgument(name: string, value: unknown): TensorArg {
  return toArgument(name, value);
}

/** Creates a tensor from a result of native code. */
export function adoptTensor(native: NativeTensor): AnyTensor {
  return adopt(native);
}

/**
 * Keeps a tensor's memory alive, even after the tensor is disposed, until the caller calls `storage.release()` on the result.
 * Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED. @internal
 */
export function holdTensor(name: string, value: unknown): View {
  return hold(name, value);
}
