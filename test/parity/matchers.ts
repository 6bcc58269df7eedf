import type { AnyTensor } from '../../lib';
import { bytes, loadTensors, numbers } from './fixtures';
import { allowedError, relativeL2Error } from './tolerance';

/**
 * Expects NaN and infinities exactly where PyTorch has them: at the output's dtype or in float64. The two differ: the vectorised float32 GELU
 * makes NaN of +infinity, the float64 one keeps it.
 */
function expectSameSpecials(ours: Float64Array, exact: Float64Array, pytorch: Float64Array): void {
  const mark = (value: number | undefined) => (Number.isFinite(value) ? 'finite' : String(value));
  const wrong = Array.from(ours, mark).filter((m, i) => m !== mark(pytorch[i]) && m !== mark(exact[i]));
  expect(wrong).toEqual([]);
}

/** Expects an output within the parity rule. */
export function expectParity(
  actual: AnyTensor,
  exact: AnyTensor,
  pytorch: AnyTensor,
  hasCeiling = true,
): void {
  expect(actual.shape).toEqual(exact.shape);
  expect(actual.dtype).toBe(pytorch.dtype);
  const [ours, truth, theirs] = [numbers(actual), numbers(exact), numbers(pytorch)];
  expectSameSpecials(ours, truth, theirs);
  const error = relativeL2Error(ours, truth);
  expect(error).toBeLessThanOrEqual(allowedError(pytorch.dtype, relativeL2Error(theirs, truth), hasCeiling));
}

/** Expects tokens and maps within the parity rule of a fixture. */
export async function expectFixture(
  file: string,
  { tokens, attention }: { tokens: AnyTensor; attention: AnyTensor },
  hasCeiling = true,
): Promise<void> {
  const [exactTokens, exactMaps, torchTokens, torchMaps] = (await loadTensors(
    file,
    'tokens',
    'attention',
    'pytorch.tokens',
    'pytorch.attention',
  )) as [AnyTensor, AnyTensor, AnyTensor, AnyTensor];
  expectParity(tokens, exactTokens, torchTokens, hasCeiling);
  expectParity(attention, exactMaps, torchMaps, hasCeiling);
}

/** Expects the same shape, dtype and bytes. */
export function expectSameBits(actual: AnyTensor, expected: AnyTensor): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.dtype).toBe(expected.dtype);
  expect(bytes(actual).equals(bytes(expected))).toBe(true);
}
