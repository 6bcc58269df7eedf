import fc from 'fast-check';

import { gatherStrided } from '../../../lib/formats/strided';

/** The definition: every index, in C order. */
function reference(source: readonly number[], shape: number[], strides: number[], offset: number): number[] {
  if (shape.length === 0) return [source[offset] ?? NaN];
  const [size = 0, ...sizes] = shape;
  const [stride = 0, ...rest] = strides;
  return Array.from({ length: size }, (_, i) => reference(source, sizes, rest, offset + i * stride)).flat();
}

test('gatherStrided agrees with the definition', async () => {
  const axis = fc.record({ size: fc.integer({ min: 0, max: 4 }), stride: fc.integer({ min: 0, max: 20 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(axis, { maxLength: 5 }),
      fc.integer({ min: 0, max: 9 }),
      async (axes, offset) => {
        const shape = axes.map(({ size }) => size);
        const strides = axes.map(({ stride }) => stride);
        const source = Array.from({ length: 400 }, (_, i) => i);
        const expected = reference(source, shape, strides, offset);
        const target = new Float64Array(expected.length);
        await gatherStrided(target, source, shape, strides, offset);
        expect([...target]).toEqual(expected);
      },
    ),
  );
});

test('gatherStrided copies bigints', async () => {
  const target = new BigInt64Array(2);
  await gatherStrided(target, BigInt64Array.of(1n, -(2n ** 63n), 3n), [2], [1], 1);
  expect([...target]).toEqual([-(2n ** 63n), 3n]);
});

/** Counts the turns of the event loop while something is under way. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 0);
  await work;
  clearInterval(timer);
  return turns;
}

// Ten million elements take some fifty milliseconds at the least, a slice eight.
test.each([
  ['one long row', [10_000_000], [0]],
  [
    'many short rows, and axes of size 1',
    [5_000_000, ...new Array<number>(60).fill(1), 2],
    [0, ...new Array<number>(60).fill(7), 0],
  ],
])('gatherStrided lets the event loop turn: %s', async (_, shape, strides) => {
  const target = new Uint8Array(10_000_000);
  expect(await turnsDuring(gatherStrided(target, Uint8Array.of(7), shape, strides, 0))).toBeGreaterThan(2);
  expect([target[0], target.at(-1)]).toEqual([7, 7]);
});
