/** Comparison with PyTorch's numbers in the tests of AotiModel. */
import type { AnyTensor, StateDict } from '../../../lib/index';

/** PyTorch and this package run the same machine code on the same libtorch: the numbers are equal but for threads' shares of sums. */
export const RELATIVE = 1e-6;

export function numbers(tensor: AnyTensor): number[] {
  return Array.from(tensor.to('float64').data);
}

/** The largest difference, relative to the largest expected number. */
export function difference(actual: AnyTensor, expected: AnyTensor): number {
  expect(actual.shape).toEqual(expected.shape);
  const [a, b] = [numbers(actual), numbers(expected)];
  const scale = Math.max(...b.map(Math.abs), Number.MIN_VALUE);
  return Math.max(0, ...a.map((value, i) => Math.abs(value - (b[i] ?? NaN)))) / scale;
}

export function expectEqual(actual: AnyTensor | null | undefined, expected: AnyTensor | undefined): void {
  if (actual === null || actual === undefined || expected === undefined)
    throw new Error('a tensor is missing');
  expect(difference(actual, expected)).toBeLessThan(RELATIVE);
}

/** The tensors of an .npz under a key, in order. */
export function values(dict: StateDict, key: string): AnyTensor[] {
  return Object.keys(dict)
    .filter((each) => each.startsWith(`${key}.`))
    .map((each) => dict[each])
    .filter((each) => each !== undefined);
}
