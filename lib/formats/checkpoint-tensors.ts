/** Reads the elements of a checkpoint's tensors. */
import { dtypeInfo, isDType, type TypedArray } from '../dtype';
import { countElements, formatShape, isContiguous } from '../shape';
import type { ArrayEntry } from './array-entry';
import { allocateElements, toHost, type ByteOrder } from './elements';
import { tensorNamed } from './file-shape';
import { quote, type Fail } from './format-error';
import { Pace } from './pace';
import type { PickledStorage, PickledTensor, UnreadableTensor } from './pickle-values';
import { gatherStrided } from './strided';
import type { ZipArchive } from './zip-archive';
import { widen, wideningOf, type RawArray, type Widening } from './widening';

const LEAVE_OUT = 'leave it out with `filter`';

/** The representation of a dtype's elements in a storage, and the dtype that they get here. */
interface Layout extends Omit<Widening, 'table'> {
  itemSize: number;
  widening: Widening | undefined;
}

/** Undefined for an unsupported dtype. */
function layoutOf(name: string): Layout | undefined {
  if (isDType(name)) {
    const { array, itemSize } = dtypeInfo(name);
    return { dtype: name, sizedAs: name, raw: array, itemSize, widening: undefined };
  }
  const widening = wideningOf(name);
  return widening && { ...widening, itemSize: dtypeInfo(widening.sizedAs).itemSize, widening };
}

/** What the tensors on a storage say of it. */
interface Described {
  /** PyTorch's name. */
  dtype: string;
  byteLength: number;
}

/** Reads each storage once, and makes arrays of the tensors on it. */
export class TensorReader {
  readonly #archive: ZipArchive;
  readonly #order: ByteOrder;
  readonly #fail: Fail;
  readonly #pace = new Pace();
  readonly #described = new Map<string, Described>();
  readonly #storages = new Map<string, RawArray>();

  constructor(archive: ZipArchive, order: ByteOrder, fail: Fail) {
    this.#archive = archive;
    this.#order = order;
    this.#fail = fail;
  }

  /**
   * Reads a tensor's elements in C order: a view of the storage if the tensor is contiguous and keeps its dtype, else a copy.
   *
   * @throws TokenLearnerError ERR_FILE_FORMAT, ERR_OUT_OF_MEMORY
   */
  async read(name: string, tensor: PickledTensor | UnreadableTensor): Promise<ArrayEntry> {
    await this.#pace.pause();
    const what = tensorNamed(name);
    if (tensor.kind === 'unreadable-tensor')
      throw this.#fail(`${what} ${tensor.what}, which is not supported; ${LEAVE_OUT}`);
    const layout = layoutOf(tensor.dtype);
    if (layout === undefined)
      throw this.#fail(`${what} has dtype ${tensor.dtype}, which is not supported; ${LEAVE_OUT}`);
    const data = await this.#storage(what, tensor, layout);
    const count = this.#checkBounds(what, tensor, data.length);
    const { dtype, widening } = layout;
    if (widening !== undefined) this.#archive.chargeExpansion(count * dtypeInfo(dtype).itemSize);
    const elements = await this.#inOrder(tensor, data, count, layout);
    const { shape } = tensor;
    if (widening === undefined) return { dtype, shape, data: elements as TypedArray };
    return { dtype, shape, data: await widen(elements, widening, what, this.#fail, this.#pace) };
  }

  /**
   * Checks a tensor as {@link read} does, without its elements. One that cannot be read is not checked.
   *
   * @throws TokenLearnerError ERR_FILE_FORMAT
   */
  check(name: string, tensor: PickledTensor | UnreadableTensor): void {
    const layout = tensor.kind === 'tensor' ? layoutOf(tensor.dtype) : undefined;
    if (tensor.kind !== 'tensor' || layout === undefined) return;
    const what = tensorNamed(name);
    this.#checkBounds(what, tensor, this.#checkStorage(what, tensor, layout) / layout.itemSize);
  }

  /** Returns the number of elements. */
  #checkBounds(what: string, { shape, strides, offset }: PickledTensor, length: number): number {
    const count = countElements(shape, 8);
    // Sums beyond 2^53 are rounded, but never to less than 2^53, which no storage reaches.
    const last = shape.reduce((index, size, axis) => index + (size - 1) * (strides[axis] ?? 0), offset);
    if (count !== undefined && (count === 0 ? offset : last + 1) <= length) return count;
    throw this.#fail(
      `${what} of shape ${formatShape(shape)}, stride ${formatShape(strides)} and offset ${offset} ` +
        `lies outside its storage of ${length} elements`,
    );
  }

  async #inOrder(
    { shape, strides, offset }: PickledTensor,
    data: RawArray,
    count: number,
    { sizedAs, raw, itemSize }: Layout,
  ): Promise<RawArray> {
    if (isContiguous(shape, strides)) return data.subarray(offset, offset + count);
    this.#archive.chargeExpansion(count * itemSize);
    const target = new raw(allocateElements(sizedAs, count).buffer as ArrayBuffer);
    await gatherStrided(target, data, shape, strides, offset, this.#pace);
    return target;
  }

  /** The required size of a storage's record, in bytes. */
  #sizeOf(what: string, { type, size }: PickledStorage, { itemSize }: Layout): number {
    if (type.dtype === undefined) {
      if (size % itemSize === 0) return size;
      throw this.#fail(
        `the storage of ${what} has ${size} bytes, which is not a multiple of its elements' ${itemSize}`,
      );
    }
    const stored = layoutOf(type.dtype);
    if (stored === undefined)
      throw this.#fail(
        `the storage of ${what} has dtype ${type.dtype}, which is not supported; ${LEAVE_OUT}`,
      );
    return size * stored.itemSize;
  }

  /** Returns the storage's size in bytes. */
  #checkStorage(what: string, { dtype, storage }: PickledTensor, layout: Layout): number {
    const expected = this.#sizeOf(what, storage, layout);
    const known = this.#described.get(storage.key);
    if (known === undefined) {
      const record = `data/${storage.key}`;
      const found = this.#archive.sizeOf(record);
      if (found === undefined) throw this.#fail(`the archive has no record ${quote(record)}`);
      if (found !== expected) {
        throw this.#fail(
          `the storage of ${what} has ${storage.size} ${storage.type.dtype ?? 'untyped'} elements, ` +
            `${expected} bytes, but its record has ${found}`,
        );
      }
      this.#described.set(storage.key, { dtype, byteLength: expected });
    } else if (known.dtype !== dtype || known.byteLength !== expected) {
      throw this.#fail(`storage ${quote(storage.key)} has two contradicting descriptions`);
    }
    return expected;
  }

  async #storage(what: string, tensor: PickledTensor, layout: Layout): Promise<RawArray> {
    this.#checkStorage(what, tensor, layout);
    const { key } = tensor.storage;
    const data = this.#storages.get(key) ?? (await this.#readStorage(`data/${key}`, layout));
    this.#storages.set(key, data);
    return data;
  }

  async #readStorage(record: string, { sizedAs, raw, itemSize }: Layout): Promise<RawArray> {
    const bytes = await this.#archive.read(record, (part) => {
      toHost(part, sizedAs, this.#order);
    });
    return new raw(bytes.buffer, 0, bytes.byteLength / itemSize);
  }
}
