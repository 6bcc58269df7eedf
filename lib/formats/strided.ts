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

/**
 * Copies a strided array into C order.
 *
 * @param target - room for the product of `shape`
 * @param source - its elements, all within bounds for `shape`, `strides` and `offset` (in elements)
 */
export function gatherStrided(
  target: Elements,
  source: Elements,
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
): void {
  if (shape.includes(0)) return;
  const outer = shape.slice(0, -1);
  const width = shape.at(-1) ?? 1;
  const step = strides.at(-1) ?? 0;
  const index = outer.map(() => 0);
  let row = offset;
  let written = 0;
  for (;;) {
    for (let i = 0; i < width; i += 1) target[written + i] = source[row + i * step];
    written += width;
    let axis = outer.length - 1;
    for (; axis >= 0; axis -= 1) {
      const at = (index[axis] ?? 0) + 1;
      const stride = strides[axis] ?? 0;
      row += stride;
      if (at < (outer[axis] ?? 1)) {
        index[axis] = at;
        break;
      }
      row -= at * stride;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}
