import type { AnyTensor } from '../../lib';
import { bytes, numbers } from './fixtures';
import { allowedError, relativeL2Error } from './tolerance';

/** Expects an output within the parity rule, with NaN and infinities exactly where PyTorch has them. */
export function expectParity(actual: AnyTensor, exact: AnyTensor, pytorch: AnyTensor): void {
  expect(actual.shape).toEqual(exact.shape);
  expect(actual.dtype).toBe(pytorch.dtype);
  const [ours, truth, theirs] = [numbers(actual), numbers(exact), numbers(pytorch)];
  const special = (values: Float64Array) => Array.from(values, (v) => (Number.isFinite(v) ? 0 : v));
  expect(special(ours)).toEqual(special(theirs));
  const error = relativeL2Error(ours, truth);
  expect(error).toBeLessThanOrEqual(allowedError(pytorch.dtype, relativeL2Error(theirs, truth)));
}

/** Expects the same shape, dtype and bytes. */
export function expectSameBits(actual: AnyTensor, expected: AnyTensor): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.dtype).toBe(expected.dtype);
  expect(bytes(actual).equals(bytes(expected))).toBe(true);
}
