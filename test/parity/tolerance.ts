/**
 * The parity rule. An output's error is its relative L2 distance to the exact output; it may be at most twice PyTorch's own error at
 * the same dtype, with a floor where PyTorch's error is smaller than rounding explains, and in float32 never above a ceiling.
 */
import type { DType } from '../../lib';

// A little over two units in the last place of float32; the same for float64, whose unit is 2^-29 of float32's.
const FLOAT32_FLOOR = 2.5e-7;
const FLOAT32_CEILING = 2e-6;
const FLOORS: Partial<Record<DType, number>> = { float32: FLOAT32_FLOOR, float64: FLOAT32_FLOOR * 2 ** -29 };

/** |actual - exact| / |exact|, over the elements where both are finite. */
export function relativeL2Error(actual: Float64Array, exact: Float64Array): number {
  if (actual.length !== exact.length) return Infinity;
  let error = 0;
  let norm = 0;
  exact.forEach((value, i) => {
    const got = actual[i];
    if (!Number.isFinite(value) || !Number.isFinite(got)) return;
    error += (Number(got) - value) ** 2;
    norm += value ** 2;
  });
  return norm > 0 ? Math.sqrt(error / norm) : Math.sqrt(error);
}

/** The largest error that is allowed where PyTorch's is `pytorchError`. Without a ceiling, PyTorch's own operators may do the work. */
export function allowedError(dtype: DType, pytorchError: number, hasCeiling = true): number {
  const allowed = Math.max(2 * pytorchError, FLOORS[dtype] ?? 0);
  return dtype === 'float32' && hasCeiling ? Math.min(allowed, FLOAT32_CEILING) : allowed;
}
