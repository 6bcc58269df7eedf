/** Options, initial parameters and reprs of the official layers: TokenLearner v1.0 and v1.1, and TokenFuser. */
import type { FloatDType } from '../dtype';
import { constant, lecunNormal, normal, xavierUniform } from '../init';
import type { AnyTensor } from '../tensor/tensor';
import { checkBoolean, checkNumber, checkOneOf } from '../validate';
import { checkThreads } from './engine-options';
import { formatFloat } from './layer-norm';
import type { ParameterSpec } from './native';

export const OFFICIAL_ENGINES = ['auto', 'fused', 'libtorch'] as const;
const APPROXIMATE = ['tanh', 'none'] as const;

/** The options of all of them, apart from sizes and placement. */
export interface OfficialConfig {
  eps: number;
  approximate: (typeof APPROXIMATE)[number];
  engine: (typeof OFFICIAL_ENGINES)[number];
  intraOpThreads: number;
  allowTf32: boolean;
}

/** The names of {@link OfficialConfig}. No state dict determines them. */
export const OFFICIAL_OPTIONS = ['eps', 'approximate', 'engine', 'intraOpThreads', 'allowTf32'] as const;

export function checkOfficial(
  given: Partial<Record<(typeof OFFICIAL_OPTIONS)[number], unknown>>,
): OfficialConfig {
  return {
    eps: checkNumber('options.eps', given.eps ?? 1e-6, 0),
    approximate: checkOneOf('options.approximate', given.approximate ?? 'tanh', APPROXIMATE),
    engine: checkOneOf('options.engine', given.engine ?? 'auto', OFFICIAL_ENGINES),
    intraOpThreads: checkThreads(given.intraOpThreads),
    allowTf32: checkBoolean('options.allowTf32', given.allowTf32 ?? false),
  };
}

/** The line of a LayerNorm in a repr. */
export function normLine(name: string, dim: number, eps: number): string {
  return `  (${name}): LayerNorm((${dim},), eps=${formatFloat(eps)}, elementwise_affine=True, bias=True)`;
}

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

/** The lines of an nn.Sequential in a repr. */
export function sequentialLines(name: string, layers: readonly string[]): string[] {
  return [`  (${name}): Sequential(`, ...layers.map((layer, i) => `    (${i}): ${layer}`), '  )'];
}
