import { TokenLearnerError } from '../errors';
import { weightAndBias } from '../init';
import { elementCount, formatShape } from '../shape';
import { checkBoolean, checkInteger, checkOptions } from '../validate';
import { registerClass } from './classes';
import { checkPlacement, PLACEMENT_OPTIONS, type PlacementOptions, UnaryLeaf } from './leaf';

export interface LinearOptions extends PlacementOptions {
  /** @default true */
  bias?: boolean | undefined;
}

/**
 * torch.nn.Linear: (..., in) to (..., out). Parameters: weight (out, in), bias (out).
 *
 * @example
 * ```ts
 * import { Linear, Tensor } from 'tokenlearner';
 *
 * const head = new Linear(512, 10);
 * const y = await head.forward(Tensor.randn([2, 512]));
 * console.log(y.shape); // [ 2, 10 ]
 * ```
 */
export class Linear extends UnaryLeaf {
  static {
    registerClass('Linear', this, (args) => new Linear(...(args as ConstructorParameters<typeof Linear>)));
  }

  /** @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_CUDA_UNAVAILABLE. */
  constructor(inFeatures: number, outFeatures: number, options?: LinearOptions) {
    const given = checkOptions('options', options, ['bias', ...PLACEMENT_OPTIONS]);
    const shape = [
      checkInteger('outFeatures', outFeatures, { min: 1 }),
      checkInteger('inFeatures', inFeatures, { min: 1 }),
    ];
    elementCount(shape, Float32Array.BYTES_PER_ELEMENT);
    const bias = checkBoolean('options.bias', given.bias ?? true);
    const placement = checkPlacement(given);
    super({
      kind: 'linear',
      libtorchUser: 'Linear',
      config: {},
      arguments: [inFeatures, outFeatures, { bias, device: 'cpu' }],
      placement,
      parameters: [{ name: 'weight', shape }, ...(bias ? [{ name: 'bias', shape: [outFeatures] }] : [])],
      initial: () => weightAndBias(shape, bias, placement.dtype),
      outputShape: (input) => {
        if (input.at(-1) === inFeatures) return [...input.slice(0, -1), outFeatures];
        throw new TokenLearnerError(
          'ERR_SHAPE_MISMATCH',
          `Expected an input of shape (..., ${inFeatures}) but received ${formatShape(input)}`,
        );
      },
      repr: `Linear(in_features=${inFeatures}, out_features=${outFeatures}, bias=${bias ? 'True' : 'False'})`,
    });
  }
}
