import { manualSeed } from '../../lib';
import { weightAndBias } from '../../lib/init';

function draw(shape: number[], bias: boolean): Float32Array[] {
  manualSeed(11);
  return weightAndBias(shape, bias, 'float32').map(({ data }) => data as Float32Array);
}

test('draws the weight, then the bias, both within 1 / sqrt(fan in)', () => {
  const [weight, bias] = draw([64, 4, 5, 5], true);
  expect([weight?.length, bias?.length]).toEqual([6400, 64]);
  // After rounding to float32 a draw can equal the bound.
  const bound = Math.fround(1 / Math.sqrt(4 * 5 * 5));
  for (const values of [weight, bias]) expect(values?.every((value) => Math.abs(value) <= bound)).toBe(true);
});

test('a bias does not change the weight', () => {
  expect(draw([3, 2], true)[0]).toEqual(draw([3, 2], false)[0]);
  expect(draw([3, 2], false).length).toBe(1);
});

test('other dtypes are converted from float32 draws', () => {
  const single = draw([3, 2], true);
  manualSeed(11);
  const wide = weightAndBias([3, 2], true, 'float64');
  expect(wide.map(({ dtype }) => dtype)).toEqual(['float64', 'float64']);
  expect(wide.map(({ data }) => Array.from(data as Float64Array))).toEqual(
    single.map((values) => Array.from(values)),
  );
});
