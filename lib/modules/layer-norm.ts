import { TokenLearnerError } from '../errors';
import { checkShape, formatShape } from '../shape';
import { Tensor } from '../tensor/tensor';
import { checkBoolean, checkInteger, checkNumber, checkOptions } from '../validate';
import { registerClass } from './classes';
import { checkPlacement, PLACEMENT_OPTIONS, type PlacementOptions, UnaryLeaf } from './leaf';

export interface LayerNormOptions extends PlacementOptions {
  /** The number added to the variance. At least 0. @default 1e-5 */
  eps?: number | undefined;
  /** Adds the parameters weight and bias. @default true */
  elementwiseAffine?: boolean | undefined;
}

/** Formats a number as Python does: with an exponent of at least two digits, or with a decimal point. */
export function formatFloat(value: number): string {
  const text = value !== 0 && (value < 1e-4 || value >= 1e16) ? value.toExponential() : String(value);
  return /^\d+$/.test(text) ? `${text}.0` : text.replace(/e([+-])(\d)$/, 'e$10$2');
}

/**
 * torch.nn.LayerNorm over the last dimensions. Parameters: weight and bias of the normalised shape.
 *
 * @example
 * ```ts
 * import { LayerNorm, Tensor } from 'tokenlearner';
 *
 * const y = await new LayerNorm(3).forward(Tensor.from([[1, 2, 3]]));
 * console.log(y); // tensor([[-1.2247, 0.0000, 1.2247]])
 * ```
 */
export class LayerNorm extends UnaryLeaf {
  static {
    registerClass(
      'LayerNorm',
      this,
      (args) => new LayerNorm(...(args as ConstructorParameters<typeof LayerNorm>)),
    );
  }

  /**
   * @param normalizedShape - the sizes of the last dimensions, or the size of the last one.
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_CUDA_UNAVAILABLE.
   */
  constructor(normalizedShape: number | readonly number[], options?: LayerNormOptions) {
    const given = checkOptions('options', options, ['eps', 'elementwiseAffine', ...PLACEMENT_OPTIONS]);
    const sizes = Array.isArray(normalizedShape)
      ? checkShape('normalizedShape', normalizedShape)
      : [checkInteger('normalizedShape', normalizedShape, { min: 1 })];
    if (sizes.length === 0 || sizes.includes(0)) {
      throw new TokenLearnerError(
        'ERR_OUT_OF_RANGE',
        `Expected positive sizes for \`normalizedShape\` but received ${formatShape(sizes)}`,
      );
    }
    const eps = checkNumber('options.eps', given.eps ?? 1e-5, 0);
    const affine = checkBoolean('options.elementwiseAffine', given.elementwiseAffine ?? true);
    const placement = checkPlacement(given);
    const { dtype } = placement;
    const yes = affine ? 'True' : 'False';
    super({
      kind: 'layer-norm',
      libtorchUser: 'LayerNorm',
      config: { eps, normalizedShape: sizes },
      arguments: [sizes, { eps, elementwiseAffine: affine, device: 'cpu' }],
      placement,
      parameters: affine ? ['weight', 'bias'].map((name) => ({ name, shape: sizes })) : [],
      initial: () => (affine ? [Tensor.ones(sizes, { dtype }), Tensor.zeros(sizes, { dtype })] : []),
      outputShape: (input) => {
        const last = input.slice(-sizes.length);
        if (last.length === sizes.length && last.every((size, i) => size === sizes[i])) return input;
        throw new TokenLearnerError(
          'ERR_SHAPE_MISMATCH',
          `Expected an input of shape (..., ${sizes.join(', ')}) but received ${formatShape(input)}`,
        );
      },
      repr: `LayerNorm(${formatShape(sizes)}, eps=${formatFloat(eps)}, elementwise_affine=${yes}, bias=${yes})`,
    });
  }
}
