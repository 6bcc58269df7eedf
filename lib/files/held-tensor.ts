import { binding } from '../binding';
import { deviceCode } from '../device';
import { type DType, dtypeInfo, type TypedArray } from '../dtype';
import { ElementParts } from '../formats/array-entry';
import { allocateElements } from '../formats/elements';
import { contiguousStrides, elementCount, type Shape } from '../shape';
import { holdTensor, type View, viewArgument } from '../tensor/access';
import { isPlain } from '../tensor/copy';

/** Bytes that are read at once: at most a few milliseconds of work. */
const PART_BYTES = 2 ** 22;
/** As {@link PART_BYTES}, for elements that are gathered or come from a GPU. */
const GATHERED_BYTES = 2 ** 20;

/** A part of a strided array. Strides and offset are in elements. */
interface Block {
  shape: Shape;
  strides: Shape;
  offset: number;
}

/** Splits an array, in C order, into blocks of at most `limit` elements. */
function* blocks(block: Block, limit: number): Generator<Block> {
  const { shape, strides, offset } = block;
  const count = elementCount(shape);
  if (count === 0) return;
  if (count <= limit) {
    yield block;
    return;
  }
  const [size = 1, ...rest] = shape;
  const [stride = 0, ...inner] = strides;
  const rows = Math.floor((limit * size) / count);
  for (let row = 0; row < size; row += Math.max(rows, 1)) {
    const at = offset + row * stride;
    if (rows === 0) yield* blocks({ shape: rest, strides: inner, offset: at }, limit);
    else yield { shape: [Math.min(rows, size - row), ...rest], strides, offset: at };
  }
}

/**
 * The elements of a tensor of any strides, on any device. It keeps the tensor's memory until {@link release}, also when the tensor
 * is disposed. It reads the elements part by part, so that no call takes long and a copy of all of them is not needed.
 */
export class HeldTensor extends ElementParts {
  readonly #view: View;

  /** Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED, and ERR_DETACHED if the memory was transferred. */
  constructor(name: string, value: unknown) {
    super();
    this.#view = holdTensor(name, value);
    try {
      this.#view.storage.argument();
    } catch (error) {
      this.release();
      throw error;
    }
  }

  get dtype(): DType {
    return this.#view.dtype;
  }

  get shape(): number[] {
    return [...this.#view.shape];
  }

  override get byteLength(): number {
    return elementCount(this.#view.shape) * dtypeInfo(this.#view.dtype).itemSize;
  }

  /** True if the elements lie row by row in host memory, so that reading them is a plain copy. */
  get isPlain(): boolean {
    return isPlain(this.#view);
  }

  /** Copies all elements at once. Throws ERR_DETACHED, ERR_OUT_OF_MEMORY. */
  copy(): TypedArray {
    return this.#read(this.#view);
  }

  /** Copies the elements part by part. Throws ERR_DETACHED, ERR_OUT_OF_MEMORY. */
  override *parts(): Generator<TypedArray> {
    const { shape, strides, offset, dtype } = this.#view;
    const { itemSize } = dtypeInfo(dtype);
    if (!this.isPlain) {
      for (const block of blocks({ shape, strides, offset }, GATHERED_BYTES / itemSize))
        yield this.#read(block);
      return;
    }
    const line = { shape: [elementCount(shape)], strides: [1], offset };
    for (const block of blocks(line, PART_BYTES / itemSize)) yield this.#read(block);
  }

  /** Gives up the memory. The elements cannot be read after that. */
  release(): void {
    this.#view.storage.release();
  }

  #read({ shape, strides, offset }: Block): TypedArray {
    const view = { ...this.#view, shape, strides, offset };
    const target = allocateElements(view.dtype, elementCount(shape));
    const source = viewArgument(view);
    if (isPlain(view)) {
      binding().read({ ...source, strides: contiguousStrides(shape) }, target);
      return target;
    }
    const copy = binding().copy(source, source.dtype, deviceCode('cpu'));
    try {
      binding().read({ ...copy, storage: copy }, target);
    } finally {
      binding().disposeStorage(copy);
    }
    return target;
  }
}
