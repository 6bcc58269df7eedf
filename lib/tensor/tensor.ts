/**
 * The Tensor class: its static methods. Its other methods are in operations.ts and base.ts.
 */
import type { DeviceOption } from '../device';
import type { DefaultDType, DType, FloatDType, TypedArray, TypedArrayFor } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { Shape } from '../shape';
import { brand } from '../validate';
import { adoptTensor, connectTensor, type TensorState } from './access';
import { withOptions } from './arguments';
import * as create from './create';
import { from, fromBuffer } from './from';
import { fromImage, type FromImageOptions, fromImageSync } from './image';
import type { ImageInput } from './image-input';
import { cat, stack } from './join';
import type { Nested, TensorJSON } from './numbers';
import { TensorOperations } from './operations';

export { adoptTensor, flattened, holdTensor, tensorArgument, type View } from './access';

/** A tensor of any dtype. */
export type AnyTensor = Tensor<DType>;

/** Options for creating a tensor. */
export interface TensorOptions<D extends DType = DType> {
  /** The element type. @default 'float32' */
  dtype?: D | undefined;
  /** The device of its memory. @default 'cpu' */
  device?: DeviceOption | undefined;
  /**
   * Uses page-locked host memory, which a GPU copies without staging. Without a usable GPU it is ordinary memory.
   * @default false
   */
  pinned?: boolean | undefined;
}

const FACTORY = Symbol('factory');

/**
 * A strided view of counted memory, on the CPU or a GPU.
 *
 * On the CPU `data` is a typed array over the tensor's own memory. Write into it, run a model, read the result: nothing is
 * copied. Memory is freed once the tensor is disposed or collected and no run uses it. If `data` was read, its ArrayBuffer must
 * be collected too, so Node's own calls (sockets, files, crypto) can safely keep using it. Use {@link copyTo} and
 * {@link copyFrom} instead of `data` if {@link dispose} must free the memory at once.
 *
 * @example
 * ```ts
 * import { Tensor } from 'tokenlearner';
 *
 * const x = Tensor.from([[1, 2, 3], [4, 5, 6]]);
 * console.log(x.shape, x.dtype); // [ 2, 3 ] float32
 * console.log(x.slice(1, 0, 2).sum(0)); // tensor([5., 7.])
 * x.data[0] = 10; // the tensor's own memory
 * console.log(x.mean().item()); // 5
 * ```
 */
export class Tensor<D extends DType = 'float32'> extends TensorOperations<D> {
  static {
    brand(this.prototype, 'a tensor');
    connectTensor({ construct: (state) => new Tensor(FACTORY, state) });
  }

  /** Not for callers: create tensors with the static methods, such as `Tensor.zeros` and `Tensor.from`. */
  private constructor(key: symbol, state: TensorState) {
    if (key !== FACTORY) {
      throw new TokenLearnerError(
        'ERR_INVALID_ARG_VALUE',
        'Create tensors with the static methods, such as Tensor.zeros and Tensor.from',
      );
    }
    super(state);
  }

  /**
   * Creates a tensor in uninitialised native memory. Like all methods that create tensors, it throws ERR_INVALID_ARG_TYPE,
   * ERR_OUT_OF_RANGE or ERR_OUT_OF_MEMORY.
   *
   * @param shape - the sizes, each an integer of at least 0; `[]` is a single number.
   */
  static empty<D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    return create.allocate(shape, options, false) as Tensor<D>;
  }

  /** Creates a tensor of zeros. */
  static zeros<D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    return create.allocate(shape, options, true) as Tensor<D>;
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
    return create.full(shape, value, options) as Tensor<D>;
  }

  /**
   * Creates a tensor of independent normal numbers with mean 0 and variance 1, from the generator that {@link manualSeed} seeds.
   * The stream and the method are those of `torch.randn` on the CPU. A value may differ from PyTorch's in its last bits.
   */
  static randn<D extends FloatDType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    return create.randn(shape, options) as Tensor<D>;
  }

  /**
   * Creates a tensor of independent numbers from [0, 1), from the generator that {@link manualSeed} seeds. They are those of
   * `torch.rand` on the CPU, bit for bit.
   */
  static rand<D extends FloatDType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> {
    return create.rand(shape, options) as Tensor<D>;
  }

  /**
   * The same numbers as {@link randn}, drawn on the thread of an executor: for large tensors, so that the event loop goes on. The
   * numbers are those that `randn` would draw at the time of the call, and later draws go on from there.
   */
  static async randnAsync<D extends FloatDType = 'float32'>(
    shape: Shape,
    options?: TensorOptions<D>,
  ): Promise<Tensor<D>> {
    return (await create.randomAsync('normal', shape, options)) as Tensor<D>;
  }

  /** The same numbers as {@link rand}, drawn on the thread of an executor. See {@link randnAsync}. */
  static async randAsync<D extends FloatDType = 'float32'>(
    shape: Shape,
    options?: TensorOptions<D>,
  ): Promise<Tensor<D>> {
    return (await create.randomAsync('uniform', shape, options)) as Tensor<D>;
  }

  /**
   * Creates a tensor of the numbers from `start` on, before `end`, in steps of `step`, which may be negative and is 1 by default.
   * `Tensor.arange(end)` starts at 0. The dtype is int64 if all numbers are integers, as in `torch.arange`, and float32 otherwise.
   * Each number is rounded once; with fractions, PyTorch's may differ in the last bit.
   *
   * @throws TokenLearnerError ERR_OUT_OF_RANGE if `step` is 0 or leads away from `end`, or if a number is not in the dtype's range;
   * ERR_INVALID_ARG_VALUE for bool, and for fractions in an integer dtype.
   */
  static arange<D extends Exclude<DType, 'bool'> = 'float32' | 'int64'>(
    end: number | bigint,
    options?: TensorOptions<D>,
  ): Tensor<D>;
  static arange<D extends Exclude<DType, 'bool'> = 'float32' | 'int64'>(
    start: number | bigint,
    end: number | bigint,
    options?: TensorOptions<D>,
  ): Tensor<D>;
  static arange<D extends Exclude<DType, 'bool'> = 'float32' | 'int64'>(
    start: number | bigint,
    end: number | bigint,
    step: number | bigint,
    options?: TensorOptions<D>,
  ): Tensor<D>;
  static arange(...given: unknown[]): AnyTensor {
    return create.arange(...withOptions(given, 3));
  }

  /** Creates a tensor of `steps` numbers, evenly spaced from `start` to `end`, including both: those of `torch.linspace`. */
  static linspace<D extends Exclude<DType, 'bool'> = 'float32'>(
    start: number,
    end: number,
    steps: number,
    options?: TensorOptions<D>,
  ): Tensor<D> {
    return create.linspace(start, end, steps, options) as Tensor<D>;
  }

  /** Creates a matrix of `n` rows and `m` columns (by default as many) with ones on its diagonal and zeros elsewhere. */
  static eye<D extends DType = 'float32'>(n: number, options?: TensorOptions<D>): Tensor<D>;
  static eye<D extends DType = 'float32'>(n: number, m: number, options?: TensorOptions<D>): Tensor<D>;
  static eye(...given: unknown[]): AnyTensor {
    return create.eye(...withOptions(given, 2));
  }

  /**
   * Creates a tensor over a typed array's own memory, without a copy, so that each sees what is written into the other. Copies a
   * number, nested arrays of numbers, and a result of {@link toJSON}. A synchronous forward uses a typed array's memory in place.
   * An asynchronous forward copies it during the call.
   *
   * `options.dtype` defaults to the array's dtype. It is float16 for Float16Array and Uint16Array (pass 'bfloat16' to read the
   * latter's bits so), uint8 for Uint8Array (or pass 'bool') and Uint8ClampedArray, float32 for numbers, int64 for bigints and bool for
   * booleans. The options may follow `data`: `Tensor.from([1, 2], { dtype: 'int64' })`.
   *
   * @param data - a typed array, which may be a view into a larger buffer; a number or nested arrays of numbers, with strings for
   * the numbers that {@link toJSON} writes as strings; or a result of {@link toJSON}.
   * @param shape - @default the shape of `data`; for a typed array `[data.length]`.
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE; ERR_DTYPE_MISMATCH; ERR_SHAPE_MISMATCH if `data` and `shape` differ in
   * length; ERR_UNSUPPORTED_BUFFER for shared and resizable buffers.
   *
   * @example
   * ```ts
   * import { Tensor } from 'tokenlearner';
   *
   * const pixels = new Float32Array([1, 2, 3, 4]);
   * const x = Tensor.from(pixels, [2, 2]); // over the array's own memory
   * pixels[0] = 10;
   * console.log(x.toArray()); // [ [ 10, 2 ], [ 3, 4 ] ]
   * ```
   */
  static from<A extends TypedArray | Uint8ClampedArray>(data: A, shape?: Shape): Tensor<DefaultDType<A>>;
  static from<D extends DType>(
    data: TypedArrayFor<D> | Nested<number | bigint | boolean | string>,
    shape: Shape | undefined,
    options: { dtype: D },
  ): Tensor<D>;
  static from<D extends DType>(
    data: TypedArrayFor<D> | Nested<number | bigint | boolean | string>,
    options: { dtype: D },
  ): Tensor<D>;
  static from<D extends DType>(data: TensorJSON<D>): Tensor<D>;
  static from<D extends DType = 'float32'>(
    data: Nested<number | string>,
    shape?: Shape,
    options?: { dtype?: D },
  ): Tensor<D>;
  static from(data: Nested<bigint>, shape?: Shape): Tensor<'int64'>;
  static from(data: Nested<boolean>, shape?: Shape): Tensor<'bool'>;
  static from(data: unknown, ...rest: unknown[]): AnyTensor {
    return from(data, ...rest);
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
   *
   * @example
   * ```ts
   * import { presets, Tensor } from 'tokenlearner';
   *
   * const picture = { data: new Uint8Array(320 * 240 * 4), width: 320, height: 240, channels: 4 } as const;
   * const x = await Tensor.fromImage(picture, { resize: 256, crop: 224, ...presets.imagenet });
   * console.log(x.shape); // [ 1, 3, 224, 224 ]
   * ```
   */
  static async fromImage<D extends FloatDType = 'float32'>(
    image: ImageInput | readonly ImageInput[],
    options?: FromImageOptions<D>,
  ): Promise<Tensor<D>> {
    return adoptTensor(await fromImage(image, options)) as Tensor<D>;
  }

  /** Computes the same numbers as {@link fromImage} on the calling thread, from the pictures' own memory, and blocks it. */
  static fromImageSync<D extends FloatDType = 'float32'>(
    image: ImageInput | readonly ImageInput[],
    options?: FromImageOptions<D>,
  ): Tensor<D> {
    return adoptTensor(fromImageSync(image, options)) as Tensor<D>;
  }

  /**
   * Creates a tensor over the bytes of a buffer, without a copy. If the first element is not aligned to the dtype's size, it copies
   * the elements.
   *
   * @param buffer - an ArrayBuffer, a typed array, a DataView or a Buffer, with elements in this machine's byte order.
   * @param shape - @default one dimension with all elements from `byteOffset` on
   * @param byteOffset - the position of the first element in `buffer`. @default 0
   * @throws TokenLearnerError ERR_SHAPE_MISMATCH if the buffer is too short, or without `shape` ends inside an element;
   * ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE; ERR_UNSUPPORTED_BUFFER for shared and resizable buffers; ERR_DETACHED.
   *
   * @example
   * ```ts
   * import { Tensor } from 'tokenlearner';
   *
   * const bytes = Buffer.from('0000803f00000040', 'hex'); // 1 and 2, little-endian
   * console.log(Tensor.fromBuffer(bytes, 'float32')); // tensor([1., 2.])
   * ```
   */
  static fromBuffer<D extends DType>(
    buffer: ArrayBufferLike | ArrayBufferView,
    dtype: D,
    shape?: Shape,
    byteOffset = 0,
  ): Tensor<D> {
    return fromBuffer(buffer, dtype, shape, byteOffset) as Tensor<D>;
  }

  /**
   * Joins tensors along a dimension, in new memory. They must have the same dtype, and the same sizes in the other dimensions. As
   * in PyTorch a tensor of shape (0,) joins with any others. On the CPU only.
   *
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH, ERR_OUT_OF_RANGE,
   * ERR_DEVICE_MISMATCH.
   *
   * @example
   * ```ts
   * import { Tensor } from 'tokenlearner';
   *
   * const [a, b] = [Tensor.ones([2, 3]), Tensor.zeros([1, 3])];
   * console.log(Tensor.cat([a, b]).shape); // [ 3, 3 ]
   * ```
   */
  static cat<D extends DType>(tensors: readonly Tensor<D>[], dim = 0): Tensor<D> {
    return cat(tensors, dim) as Tensor<D>;
  }

  /**
   * Joins tensors of one shape and dtype along a new dimension at position `dim`, in new memory. On the CPU only.
   *
   * @throws TokenLearnerError the errors of {@link Tensor.cat}.
   *
   * @example
   * ```ts
   * import { Tensor } from 'tokenlearner';
   *
   * const pictures = [Tensor.ones([3, 8, 8]), Tensor.zeros([3, 8, 8])];
   * console.log(Tensor.stack(pictures).shape); // [ 2, 3, 8, 8 ]
   * ```
   */
  static stack<D extends DType>(tensors: readonly Tensor<D>[], dim = 0): Tensor<D> {
    return stack(tensors, dim) as Tensor<D>;
  }
}
