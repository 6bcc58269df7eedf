import fc from 'fast-check';
import {
  checkDimension,
  checkShape,
  contiguousStrides,
  countElements,
  elementCount,
  formatShape,
  isContiguous,
  resolveReshape,
  type Shape,
  viewStrides,
} from '../../lib/shape';
import { expectThrow } from './formats/support';

test('formats shapes as Python formats tuples', () => {
  expect([[], [3], [2, 3]].map(formatShape)).toEqual(['()', '(3,)', '(2, 3)']);
});

test('counts elements; a single number is one', () => {
  expect([[], [3], [2, 3], [2, 0, 3]].map((shape) => elementCount(shape))).toEqual([1, 3, 6, 0]);
});

test.each([
  [[2 ** 27, 2 ** 27], 1],
  [[2 ** 51], 4],
  // The strides of this shape would not be exact.
  [[0, 2 ** 30, 2 ** 30], 1],
])('refuses %p at %p bytes per element', (shape, itemSize) => {
  expect(countElements(shape, itemSize)).toBeUndefined();
  expectThrow(() => elementCount(shape, itemSize), 'ERR_OUT_OF_RANGE', 'has too many elements');
});

test.each([
  ['12', 'ERR_INVALID_ARG_TYPE'],
  [12, 'ERR_INVALID_ARG_TYPE'],
  [undefined, 'ERR_INVALID_ARG_TYPE'],
  [new Int32Array(2), 'ERR_INVALID_ARG_TYPE'],
  [['1'], 'ERR_INVALID_ARG_TYPE'],
  [[1n], 'ERR_INVALID_ARG_TYPE'],
  [Array(3), 'ERR_INVALID_ARG_TYPE'],
  [[-1], 'ERR_OUT_OF_RANGE'],
  [[1.5], 'ERR_OUT_OF_RANGE'],
  [[NaN], 'ERR_OUT_OF_RANGE'],
  [[2 ** 53], 'ERR_OUT_OF_RANGE'],
  [new Array<number>(65).fill(1), 'ERR_OUT_OF_RANGE'],
  [[2 ** 30, 2 ** 30], 'ERR_OUT_OF_RANGE'],
] as const)('%p is not a shape', (value, code) => {
  expectThrow(() => checkShape('shape', value), code, /./);
});

test('an array of any length is refused at once', () => {
  const endless = new Array(2 ** 32 - 1);
  expectThrow(() => checkShape('shape', endless), 'ERR_OUT_OF_RANGE', 'at most 64 dimensions');
  expectThrow(() => resolveReshape('shape', endless, [2, 3]), 'ERR_OUT_OF_RANGE', 'at most 64 dimensions');
});

test('a shape is copied', () => {
  const shape = [2, 3];
  expect(checkShape('shape', shape)).toEqual(shape);
  expect(checkShape('shape', shape)).not.toBe(shape);
});

test('strides are row-major; a size of 0 counts as 1', () => {
  expect(contiguousStrides([2, 3, 4])).toEqual([12, 4, 1]);
  expect(contiguousStrides([2, 0, 4])).toEqual([4, 4, 1]);
  expect(contiguousStrides([])).toEqual([]);
});

test.each([
  [[2, 3], [3, 1], true],
  [[2, 3], [1, 2], false],
  [[1, 3], [99, 1], true],
  [[0, 3], [7, 7], true],
  [[2], [2], false],
  [[], [], true],
])('shape %p with strides %p: contiguous %p', (shape, strides, contiguous) => {
  expect(isContiguous(shape, strides)).toBe(contiguous);
});

test('dimensions count from both ends', () => {
  expect([0, 2, -1, -3].map((value) => checkDimension('dim', value, 3))).toEqual([0, 2, 2, 0]);
  expectThrow(() => checkDimension('dim', 3, 3), 'ERR_OUT_OF_RANGE', 'an integer from -3 to 2 for `dim`');
});

describe('resolveReshape', () => {
  test.each([
    [[6], [2, 3], [6]],
    [
      [-1, 2],
      [2, 3],
      [3, 2],
    ],
    [[-1], [], [1]],
    [[], [1], []],
    [
      [-1, 3],
      [0, 3],
      [0, 3],
    ],
    [
      [0, 5],
      [0, 3],
      [0, 5],
    ],
  ])('%p of a tensor of shape %p is %p', (asked, from, expected) => {
    expect(resolveReshape('shape', asked, from)).toEqual(expected);
  });

  test.each([
    [[5], [2, 3], 'ERR_SHAPE_MISMATCH'],
    [[-1, 4], [2, 3], 'ERR_SHAPE_MISMATCH'],
    [[-1, 0], [0, 3], 'ERR_SHAPE_MISMATCH'],
    [[-1, -1], [2, 3], 'ERR_INVALID_ARG_VALUE'],
    [[-2, 3], [2, 3], 'ERR_OUT_OF_RANGE'],
    [['6'], [2, 3], 'ERR_INVALID_ARG_TYPE'],
    [6, [2, 3], 'ERR_INVALID_ARG_TYPE'],
  ] as const)('refuses %p for a tensor of shape %p', (asked, from, code) => {
    expectThrow(() => resolveReshape('shape', asked, from), code, /`shape(\[\d\])?`/);
  });
});

/** Offsets of all elements in row-major order. */
function offsets(shape: Shape, strides: Shape): number[] {
  return shape.reduce<number[]>(
    (all, size, i) => all.flatMap((at) => Array.from({ length: size }, (_, k) => at + k * (strides[i] ?? 0))),
    [0],
  );
}

/** All shapes of `count` elements without sizes of 1. */
function factorings(count: number): number[][] {
  if (count === 1) return [[]];
  const divisors = Array.from({ length: count - 1 }, (_, i) => i + 2).filter((d) => count % d === 0);
  return divisors.flatMap((d) => factorings(count / d).map((rest) => [d, ...rest]));
}

/** True if any strides give `wanted`. Each stride can only be the distance between elements along its own dimension. */
function viewExists(wanted: readonly number[], to: Shape): boolean {
  const steps = contiguousStrides(to);
  const strides = to.map((size, i) => (size === 1 ? 0 : (wanted[steps[i] ?? 0] ?? 0) - (wanted[0] ?? 0)));
  return offsets(to, strides).every((at, i) => at === wanted[i]);
}

const permuted = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }).chain((shape) =>
  fc.tuple(
    fc.constant(shape),
    fc.shuffledSubarray(
      shape.map((_, i) => i),
      { minLength: shape.length },
    ),
  ),
);

test('viewStrides finds a view exactly if there is one', () => {
  fc.assert(
    fc.property(
      permuted,
      fc.nat(),
      fc.array(fc.nat(5), { maxLength: 2 }),
      ([original, order], pick, ones) => {
        const all = contiguousStrides(original);
        const shape = order.map((d) => original[d] ?? 0);
        const strides = order.map((d) => all[d] ?? 0);
        const choices = factorings(elementCount(shape));
        const to = [...(choices[pick % choices.length] ?? [])];
        for (const at of ones) to.splice(at, 0, 1);
        const wanted = offsets(shape, strides);
        const found = viewStrides(shape, strides, to);
        expect(found !== undefined).toBe(viewExists(wanted, to));
        if (found !== undefined) expect(offsets(to, found)).toEqual(wanted);
      },
    ),
    { numRuns: 2000 },
  );
});

test('an empty tensor is a view under any shape without elements', () => {
  expect(viewStrides([0, 3], [1, 7], [5, 0])).toEqual([1, 1]);
});
