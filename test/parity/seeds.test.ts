import { createHash } from 'node:crypto';

import { type FloatDType, Linear, manualSeed, Tensor, type Module } from '../../lib';
import { bytes, numbers, readJson, type LayerSpec } from './fixtures';
import { constructAll } from './modules';

interface Parameter {
  name: string;
  shape: number[];
  sha256: string;
  first: number[];
}

interface Fixture {
  constructions: { seed: string; layers: LayerSpec[]; parameters: Parameter[] }[];
  randn: { seed: string; dtype: FloatDType; size: number; values: number[][] }[];
  mixed: { seed: string; before: number[]; linear: Parameter[]; after: number[] }[];
}

const { constructions, randn, mixed } = readJson('seeds/seeds.json') as Fixture;

/** The state dict as the fixture describes it: equal hashes are equal bits. */
function describeModule(module: Module): Parameter[] {
  return Object.entries(module.stateDict()).map(([name, tensor]) => ({
    name,
    shape: [...tensor.shape],
    sha256: createHash('sha256').update(bytes(tensor)).digest('hex'),
    first: Array.from(numbers(tensor).subarray(0, 4)),
  }));
}

// Below 16 numbers torch.randn computes in double with the C library, as we do. From 16 on it uses vectorised logarithms, sines and cosines,
// whose results may differ by a few units from ours: with z = r cos t, r = sqrt(-2 ln u), the logarithm (2 units, halved by
// the root), the root and the product (1 each) and the cosine (2 units of 1, whatever its value) come to at most 5 units of r, once for
// each side; r is at most sqrt(-2 ln 2^-24) in float32 and sqrt(-2 ln 2^-53) in float64. The numbers of 16-bit
// dtypes are those of float32, which may then round to neighbours: a unit of a number from 4 to 8.
const BLOCKWISE = 16;
const UNITS = 10;
const BITS = { float16: 11, bfloat16: 8, float32: 24, float64: 53 };

function randnTolerance(dtype: FloatDType, size: number): number {
  if (size < BLOCKWISE) return 0;
  const bits = BITS[dtype];
  if (bits < 24) return 2 ** (3 - bits);
  return UNITS * 2 ** (1 - bits) * Math.sqrt(2 * bits * Math.LN2);
}

function expectClose(actual: Float64Array, expected: number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const worst = expected.reduce((max, value, i) => Math.max(max, Math.abs((actual[i] ?? NaN) - value)), 0);
  expect(worst).toBeLessThanOrEqual(tolerance);
}

const title = (layers: LayerSpec[]) =>
  layers.map(([name, args, options]) => `${name} ${JSON.stringify([...args, options])}`).join(', ');

test.each(constructions.map((item) => ({ ...item, title: title(item.layers) })))(
  'manualSeed($seed), $title: the bits of torch.manual_seed',
  ({ seed, layers, parameters }) => {
    manualSeed(BigInt(seed));
    expect(describeModule(constructAll(layers))).toEqual(parameters);
  },
);

test('a seed may be a number', () => {
  const item = constructions.find(({ seed }) => seed === '42');
  manualSeed(42);
  expect(item && describeModule(constructAll(item.layers))).toEqual(item?.parameters);
});

test.each(randn)('randn: $size numbers of $dtype, twice in a row', ({ seed, dtype, size, values }) => {
  manualSeed(BigInt(seed));
  for (const expected of values) {
    const drawn = numbers(Tensor.randn([size], { dtype }));
    expectClose(drawn, expected, randnTolerance(dtype, size));
  }
});

test.each(mixed)('the cached normal sample outlives a construction', ({ seed, before, linear, after }) => {
  manualSeed(BigInt(seed));
  expect(Array.from(numbers(Tensor.randn([before.length])))).toEqual(before);
  expect(describeModule(new Linear(5, 3))).toEqual(linear);
  expect(Array.from(numbers(Tensor.randn([after.length])))).toEqual(after);
});
