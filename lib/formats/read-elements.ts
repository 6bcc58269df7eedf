import { dtypeInfo, type DType, type TypedArray } from '../dtype';
import { contiguousStrides, elementCount } from '../shape';
import type { ByteSource } from './byte-source';
import { allocateElements, toHost, type ByteOrder } from './elements';
import type { Fail } from './format-error';
import type { Pace } from './pace';
import { widen, type Widening } from './widening';

/** Bytes of one read: a few milliseconds of work on JavaScript's thread. It also bounds the memory used beside the arrays. */
const CHUNK_BYTES = 2 ** 22;

/** Elements in Fortran order that are placed at once. It is small because each may touch another page of new memory. */
const FORTRAN_ELEMENTS = 2 ** 14;

/** Elements that are widened at once. */
const WIDENED_ELEMENTS = 2 ** 18;

/** Allocates the memory for an array: the shape's number of elements in the dtype's typed array. */
export type Allocate = (name: string, dtype: DType, shape: readonly number[]) => TypedArray;

/** Allocates JavaScript's own memory. @throws TokenLearnerError ERR_OUT_OF_MEMORY */
export const allocateInJavaScript: Allocate = (_name, dtype, shape) =>
  allocateElements(dtype, elementCount(shape));

/** The position and representation of elements in a source. */
export interface ElementPlace {
  dtype: DType;
  order: ByteOrder;
  /** In bytes from the beginning of the source. */
  position: number;
}

/** Fills `target` from `position` on. */
export async function readBytes(
  source: ByteSource,
  target: Uint8Array,
  position: number,
  pace: Pace,
): Promise<void> {
  for (let done = 0; done < target.byteLength; done += CHUNK_BYTES) {
    await source.read(target.subarray(done, done + CHUNK_BYTES), position + done);
    await pace.pause();
  }
}

/** Fills `data` with elements in their order in the source, directly into its memory. */
export async function readElements(
  source: ByteSource,
  data: TypedArray,
  { dtype, order, position }: ElementPlace,
  pace: Pace,
): Promise<void> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  for (let done = 0; done < bytes.byteLength; done += CHUNK_BYTES) {
    const chunk = bytes.subarray(done, done + CHUNK_BYTES);
    await source.read(chunk, position + done);
    toHost(chunk, dtype, order);
    await pace.pause();
  }
}

/** As {@link readElements}, for an array in Fortran order (the first index runs fastest). `data` gets C order. */
export async function readFortranElements(
  source: ByteSource,
  data: TypedArray,
  shape: readonly number[],
  { dtype, order, position }: ElementPlace,
  pace: Pace,
): Promise<void> {
  const { itemSize } = dtypeInfo(dtype);
  const scratch = allocateElements(dtype, Math.min(data.length, FORTRAN_ELEMENTS));
  const target = new FortranWalk(shape);
  for (let done = 0; done < data.length; done += scratch.length) {
    const part = scratch.subarray(0, data.length - done);
    const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    await source.read(bytes, position + done * itemSize);
    toHost(bytes, dtype, order);
    target.place(data, part);
    await pace.pause();
  }
}

/** As {@link readElements}, for little-endian elements that are converted to a wider dtype. @param what - names them in messages */
export async function readWidened(
  source: ByteSource,
  data: TypedArray,
  position: number,
  { widening, what, fail }: { widening: Widening; what: string; fail: Fail },
  pace: Pace,
): Promise<void> {
  const { itemSize } = dtypeInfo(widening.sizedAs);
  const scratch = new ArrayBuffer(Math.min(data.length, WIDENED_ELEMENTS) * itemSize);
  for (let done = 0; done < data.length; done += WIDENED_ELEMENTS) {
    const count = Math.min(WIDENED_ELEMENTS, data.length - done);
    const bytes = new Uint8Array(scratch, 0, count * itemSize);
    await source.read(bytes, position + done * itemSize);
    toHost(bytes, widening.sizedAs, 'little');
    const wide = await widen(new widening.raw(scratch, 0, count), widening, what, fail, pace);
    (data as Float32Array).set(wide as Float32Array, done);
  }
}

/** Walks through the C-order positions of an array in Fortran order. */
class FortranWalk {
  readonly #shape: readonly number[];
  readonly #strides: readonly number[];
  readonly #index: number[];
  #at = 0;

  constructor(shape: readonly number[]) {
    this.#shape = shape;
    this.#index = shape.map(() => 0);
    this.#strides = contiguousStrides(shape);
  }

  /** Puts the next elements at their positions. */
  place(data: Record<number, unknown>, elements: TypedArray): void {
    const [size = 1] = this.#shape;
    const [step = 0] = this.#strides;
    for (let done = 0; done < elements.length;) {
      const [from = 0] = this.#index;
      const end = Math.min(done + size - from, elements.length);
      const run = end - done;
      let at = this.#at;
      for (; done < end; done += 1, at += step) data[at] = elements[done];
      this.#advance(run);
    }
  }

  /** Advances by `run` elements of the first axis, at most to its end. */
  #advance(run: number): void {
    let count = run;
    for (let axis = 0; axis < this.#shape.length; axis += 1) {
      const stride = this.#strides[axis] ?? 0;
      const next = (this.#index[axis] ?? 0) + count;
      this.#at += count * stride;
      if (next < (this.#shape[axis] ?? 0)) {
        this.#index[axis] = next;
        return;
      }
      this.#at -= next * stride;
      this.#index[axis] = 0;
      count = 1;
    }
  }
}
