import { manualSeed, Tensor } from '../../lib';
import { expectThrow } from './formats/support';

function draw(seed: number | bigint): number[] {
  manualSeed(seed);
  return [...Tensor.randn([20]).data];
}

test('the same seed gives the same numbers, another seed gives others', () => {
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test('a number and the same bigint are one seed; negative seeds count from 2^64', () => {
  expect(draw(7n)).toEqual(draw(7));
  expect(draw(-1)).toEqual(draw(2n ** 64n - 1n));
  expect(draw(-(2n ** 63n))).toEqual(draw(2n ** 63n));
});

test.each([1.5, NaN, Infinity, 2 ** 53, 2n ** 64n, -(2n ** 63n) - 1n])('%p is out of range', (seed) => {
  expectThrow(
    () => {
      manualSeed(seed);
    },
    'ERR_OUT_OF_RANGE',
    'an integer from -2^63 to 2^64 - 1',
  );
});

test.each(['1', null, undefined, {}])('%p is not a seed', (seed) => {
  expectThrow(
    () => {
      manualSeed(seed as never);
    },
    'ERR_INVALID_ARG_TYPE',
    '`seed`',
  );
});
