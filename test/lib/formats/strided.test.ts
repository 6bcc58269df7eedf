import fc from 'fast-check';

import { contiguousStrides, gatherStrided, isContiguous } from '../../../lib/formats/strided';

test('contiguousStrides', () => {
  expect(contiguousStrides([])).toEqual([]);
  expect(contiguousStrides([2, 3, 4])).toEqual([12, 4, 1]);
});

test.each<[number[], number[], boolean]>([
  [[], [], true],
  [[2, 3], [3, 1], true],
  [[2, 3], [1, 2], false],
  [[2, 3], [0, 1], false],
  [[1, 3], [99, 1], true],
  [[3, 1], [1, 99], true],
  [[0, 3], [5, 5], true],
])('isContiguous(%j, %j) is %s', (shape, strides, expected) => {
  expect(isContiguous(shape, strides)).toBe(expected);
});

/** The definition: every index, in C order. */
function reference(source: readonly number[], shape: number[], strides: number[], offset: number): number[] {
  if (shape.length === 0) return [source[offset] ?? NaN];
  const [size = 0, ...sizes] = shape;
  const [stride = 0, ...rest] = strides;
  return Array.from({ length: size }, (_, i) => reference(source, sizes, rest, offset + i * stride)).flat();
}

test('gatherStrided agrees with the definition', () => {
  const axis = fc.record({ size: fc.integer({ min: 0, max: 4 }), stride: fc.integer({ min: 0, max: 20 }) });
  fc.assert(
    fc.property(fc.array(axis, { maxLength: 5 }), fc.integer({ min: 0, max: 9 }), (axes, offset) => {
      const shape = axes.map(({ size }) => size);
      const strides = axes.map(({ stride }) => stride);
      const source = Array.from({ length: 400 }, (_, i) => i);
      const expected = reference(source, shape, strides, offset);
      const target = new Float64Array(expected.length);
      gatherStrided(target, source, shape, strides, offset);
      expect([...target]).toEqual(expected);
    }),
  );
});

test('gatherStrided copies bigints as they are', () => {
  const target = new BigInt64Array(2);
  gatherStrided(target, BigInt64Array.of(1n, -(2n ** 63n), 3n), [2], [1], 1);
  expect([...target]).toEqual([-(2n ** 63n), 3n]);
});
