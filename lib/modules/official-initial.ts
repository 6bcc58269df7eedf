import type { FloatDType } from '../dtype';
import { constant, lecunNormal, normal, xavierUniform } from '../init';
import type { AnyTensor } from '../tensor/tensor';
import type { ParameterSpec } from './native';

/** The standard deviation of the official MLP's biases. */
const BIAS_DEVIATION = 1e-6;

/** A parameter as the official code draws it: flax's MlpBlock, Dense, Conv and LayerNorm. */
export function officialInitial({ name, shape }: ParameterSpec, dtype: FloatDType): AnyTensor {
  if (name.startsWith('norm')) return constant(shape, name.endsWith('.weight') ? 1 : 0, dtype);
  // A TokenFuser gives zeros at first, so that the block around it starts as the identity.
  if (name.startsWith('mix.')) return constant(shape, 0, dtype);
  if (name.endsWith('.bias')) return normal(shape, BIAS_DEVIATION, dtype);
  const [outputs = 1, inputs = 1, ...kernel] = shape;
  return kernel.length === 0 ? xavierUniform([outputs, inputs], dtype) : lecunNormal(shape, dtype);
}
