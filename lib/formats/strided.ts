import { Pace } from './pace';

/** Elements between two checks of the clock: a fraction of a millisecond of work. */
const ELEMENTS_PER_STEP = 2 ** 14;

/** Elements by index: a typed array of numbers or of bigints. */
type Elements = Record<number, unknown>;

/** Iterates over the rows of a strided array, along its outer axes. */
class Rows {
  readonly #sizes: number[];
  readonly #strides: number[];
  readonly #index: number[];
  /** The index in the source where the row begins. */
  at: number;

  constructor(sizes: number[], strides: number[], offset: number) {
    this.#sizes = sizes;
    this.#strides = strides;
    this.#index = sizes.map(() => 0);
    this.at = offset;
  }

  /** Moves to the next row. Returns false after the last one. */
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

/** Does the work of {@link gatherStrided}. Yields about every {@link ELEMENTS_PER_STEP} elements. */
function* gatherSteps(
  target: Elements,
  source: Elements,
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
): Generator<void> {
  if (shape.includes(0)) return;
  // Axes of size 1 do not matter. Without them a step to the next row visits at most two axes on average.
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
 * Copies a strided array into C order, in slices of a few milliseconds so that the event loop can run.
 *
 * @param target - has at least as many elements as `shape`
 * @param source - `shape`, `strides` and `offset` (in elements) must lie within its bounds
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
