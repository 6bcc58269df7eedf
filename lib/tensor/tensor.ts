/**
 * The Tensor class. Long because the class's private state cannot be shared between files.
 */
import '../dispose';
import { types } from 'node:util';
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
import { checkOneOf, checkOptions, describe, unexpected } from '../validate';
import { arrayDType, checkLength, fillValue, tensorOptions } from './arguments';
import { formatTensor, inspectSymbol } from './format';
import { Storage } from './storage';
import { lengthOf } from './typed-array';

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

interface View {
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

/**
 * A strided view of counted memory, on the CPU or a GPU.
 *
 * On the CPU `data` is a typed array over the tensor's own memory: write into it, run, read the result; nothing is copied.
 * Memory is freed when the tensor is disposed or collected and no run still uses it.
 */
export class Tensor<D extends DType = 'float32'> {
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
    const native = pinned ? requireLibtorch() : binding();
    const sizes = checkShape('shape', shape);
    const { itemSize } = dtypeInfo(dtype);
    const bytes = elementCount(sizes, itemSize) * itemSize;
    const made = Tensor.#make<D>({
      storage: Storage.native(native.allocate(bytes, zeroed, pinned), bytes),
      dtype,
      device: 'cpu',
      shape: sizes,
      strides: contiguousStrides(sizes),
      offset: 0,
    });
    return made.#moved(device);
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
    const { dtype, device } = tensorOptions(options);
    const one = fillValue('value', value, dtype);
    // Floats of 16 bits are filled as float32 and rounded by libtorch.
    const direct = dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype;
    const made = Tensor.#allocate<DType>(shape, { dtype: direct }, false);
    (made.data as { fill(value: number | bigint): unknown }).fill(one);
    return (made.#converted(dtype) as Tensor<D>).#moved(device);
  }

  /**
   * Independent normal numbers, mean 0 and variance 1, from the generator that {@link manualSeed} seeds. The stream and the
   * method are those of `torch.randn` on the CPU; a value may differ from PyTorch's in its last bits.
   */
  static randn<D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    const { dtype, device } = tensorOptions(options);
    checkOneOf('options.dtype', dtype, FLOATING);
    const made = Tensor.#allocate<DType>(
      shape,
      { dtype: dtype === 'float64' ? 'float64' : 'float32' },
      false,
    );
    binding().normal(toArgument('tensor', made));
    return (made.#converted(dtype) as Tensor<D>).#moved(device);
  }

  /**
   * A tensor over a typed array's own memory, without a copy: what one writes the other sees. A plain array of numbers is
   * copied. A synchronous forward uses the memory in place, an asynchronous one copies it when it is called.
   *
   * `options.dtype` defaults to the array's own: Uint16Array is float16 (or say 'bfloat16'), Uint8Array is uint8
   * (or say 'bool'); a plain array is float32.
   *
   * @param data - a typed array (also a view into a larger buffer), or an array of numbers.
   * @param shape - @default `[data.length]`
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE; ERR_DTYPE_MISMATCH; ERR_SHAPE_MISMATCH where the length is not the
   * shape's; ERR_UNSUPPORTED_BUFFER for shared and resizable buffers.
   */
  static from<A extends TypedArray>(data: A, shape?: Shape): Tensor<DefaultDType<A>>;
  static from<D extends DType>(
    data: TypedArrayFor<D>,
    shape: Shape | undefined,
    options: { dtype: D },
  ): Tensor<D>;
  static from<D extends DType = 'float32'>(
    data: readonly (number | bigint | boolean)[],
    shape?: Shape,
    options?: { dtype?: D },
  ): Tensor<D>;
  static from(
    data: TypedArray | readonly (number | bigint | boolean)[],
    shape?: Shape,
    options?: { dtype?: DType },
  ): AnyTensor {
    const { dtype } = checkOptions('options', options, ['dtype']);
    if (dtype !== undefined) checkOneOf('options.dtype', dtype, DTYPES);
    if (Array.isArray(data)) return fromNumbers(data, shape, dtype as DType | undefined);
    if (!types.isTypedArray(data))
      throw unexpected('ERR_INVALID_ARG_TYPE', 'data', 'a typed array or an array of numbers', data);
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
   * The elements as a typed array over the tensor's memory, without a copy; the same array each time. After
   * {@link dispose} an array over native memory has length 0.
   *
   * @throws TokenLearnerError ERR_NOT_CONTIGUOUS (call `contiguous()` first), ERR_DEVICE_MISMATCH for a tensor on a GPU
   * (call `to('cpu')` first), ERR_DISPOSED, ERR_DETACHED.
   */
  get data(): TypedArrayFor<D> {
    const view = live(this);
    if (view.device !== 'cpu') {
      throw new TokenLearnerError(
        'ERR_DEVICE_MISMATCH',
        `The tensor is on ${view.device}; call to('cpu') to read its data`,
      );
    }
    if (!isContiguous(view.shape, view.strides)) {
      throw new TokenLearnerError(
        'ERR_NOT_CONTIGUOUS',
        `A tensor of shape ${formatShape(view.shape)} and strides ${formatShape(view.strides)} is not contiguous; call contiguous() to read its data`,
      );
    }
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
   * Gives the memory back now instead of when the tensor is collected: as soon as no other tensor views it and no run uses
   * it. Typed arrays over native memory become empty. Calling it again does nothing.
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

  /** What console.log shows. */
  [inspectSymbol](): string {
    checkThis(this);
    const { dtype, device, shape, strides } = this.#view;
    let elements: TypedArray | undefined;
    let state = this.#disposed ? 'disposed' : undefined;
    if (state === undefined && device === 'cpu') {
      try {
        elements = this.#elements(
          shape.includes(0)
            ? 0
            : 1 + shape.reduce((last, size, i) => last + (size - 1) * (strides[i] ?? 0), 0),
        );
      } catch (error) {
        // Larger than an ArrayBuffer can be, else.
        if ((error as TokenLearnerError).code === 'ERR_DETACHED') state = 'detached';
      }
    }
    return formatTensor({ dtype, device, shape, strides, elements, state });
  }

  /** The shape, dtype and device, in one line. */
  toString(): string {
    checkThis(this);
    const { dtype, device, shape } = this.#view;
    return `Tensor(${formatShape(shape)}, ${dtype}, ${device})`;
  }

  #elements(count: number): TypedArray {
    const { storage, dtype, offset } = this.#view;
    const { array, itemSize } = dtypeInfo(dtype);
    const { buffer, byteOffset } = storage.host();
    return new array(buffer, byteOffset + offset * itemSize, count);
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

function fromNumbers(data: readonly unknown[], shape: unknown, asked: DType | undefined): AnyTensor {
  const dtype = asked ?? 'float32';
  const sizes = checkLength(data.length, shape);
  const direct = dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype;
  const made = Tensor.empty(sizes, { dtype: direct });
  try {
    const elements = made.data as unknown as Record<number, number | bigint>;
    for (let i = 0; i < data.length; i++) elements[i] = fillValue('data', data[i], dtype);
    // A view, so that both ways the first tensor can be given back.
    return direct === dtype ? made.reshape(sizes) : made.to(dtype);
  } finally {
    made.dispose();
  }
}

/** A tensor as native code takes it. Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED, ERR_DETACHED. */
export function tensorArgument(name: string, value: unknown): TensorArg {
  return toArgument(name, value);
}

/** A tensor over what native code gave. */
export function adoptTensor(native: NativeTensor): AnyTensor {
  return adopt(native);
}
