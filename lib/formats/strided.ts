import { Pace } from './pace';

/** Elements between two looks at the clock: a fraction of a millisecond. */
const ELEMENTS_PER_STEP = 2 ** 14;

/** Strides, in elements, of a C-ordered array of that shape. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    strides[axis] = stride;
    stride *= shape[axis] ?? 1;
  }
  return strides;
}

/** Whether the strides (in elements) are those of C order; axes of size 1 and empty arrays may have any. */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  const expected = contiguousStrides(shape);
  return shape.every((size, axis) => size === 1 || strides[axis] === expected[axis]);
}

/** Elements by index: a typed array of numbers or of bigints. */
type Elements = Record<number, unknown>;

/** The next row of a strided array, over its outer axes. */
class Rows {
  readonly #sizes: number[];
  readonly #strides: number[];
  readonly #index: number[];
  /** Where the row begins in the source. */
  at: number;

  constructor(sizes: number[], strides: number[], offset: number) {
    this.#sizes = sizes;
    this.#strides = strides;
    this.#index = sizes.map(() => 0);
    this.at = offset;
  }

  /** False after the last row. */
  next(): boolean {
    for (let axis = this.#sizes.length - 1; axis >= 0; axis -= 1) {
      const stride = this.#strides[axis] ?? 0;
      const next = (this.#index[axis] ?? 0) + 1;
      this.at += stride;
      if (next < (this.#sizes[axis] ?? 1)) {
        this.#index[axis] = next;
        return true;
      }
      this.at -= next * stride;
      this.#index[axis] = 0;
    }
    return false;
  }
}

/** Does the work of {@link gatherStrided}, and yields after every {@link ELEMENTS_PER_STEP} elements or so. */
function* gatherSteps(
  target: Elements,
  source: Elements,
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
): Generator<void> {
  if (shape.includes(0)) return;
  // Axes of size 1 tell nothing; without them a step to the next row goes through two axes at most, on average.
  const sizes = shape.filter((size) => size !== 1);
  const steps = strides.filter((_, axis) => shape[axis] !== 1);
  const width = sizes.pop() ?? 1;
  const step = steps.pop() ?? 0;
  const rows = new Rows(sizes, steps, offset);
  let written = 0;
  let pauseAt = ELEMENTS_PER_STEP;
  do {
    const row = rows.at;
    const first = written;
    for (let end = first + width; written < end;) {
      for (const stop = Math.min(end, pauseAt); written < stop; written += 1)
        target[written] = source[row + (written - first) * step];
      if (written < pauseAt) continue;
      pauseAt += ELEMENTS_PER_STEP;
      yield;
    }
  } while (rows.next());
}

/**
 * Copies a strided array into C order, in slices of some milliseconds: the event loop goes on turning.
 *
 * @param target - room for the product of `shape`
 * @param source - its elements, all within bounds for `shape`, `strides` and `offset` (in elements)
 */
export async function gatherStrided(
  target: Elements,
  source: Elements,
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
  pace = new Pace(),
): Promise<void> {
  const steps = gatherSteps(target, source, shape, strides, offset);
  while (steps.next().done !== true) await pace.pause();
}
