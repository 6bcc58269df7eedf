import { TokenLearnerError } from '../errors';
import { formatShape } from '../shape';
import { checkInteger } from '../validate';
import { registerClass } from './classes';
import { UnaryLeaf } from './leaf';

/**
 * torch.nn.Flatten: merges the dimensions from startDim to endDim into one.
 *
 * @example
 * ```ts
 * import { Flatten, Tensor } from 'tokenlearner';
 *
 * const y = await new Flatten().forward(Tensor.ones([2, 64, 8]));
 * console.log(y.shape); // [ 2, 512 ]
 * ```
 */
export class Flatten extends UnaryLeaf {
  static {
    registerClass('Flatten', this, (args) => new Flatten(...(args as ConstructorParameters<typeof Flatten>)));
  }

  /**
   * @param startDim - the first dimension to merge; a negative one counts from the end. @default 1
   * @param endDim - the last dimension to merge; a negative one counts from the end. @default -1
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
   */
  constructor(startDim = 1, endDim = -1) {
    super({
      kind: 'flatten',
      libtorchUser: null,
      config: { startDim: checkInteger('startDim', startDim), endDim: checkInteger('endDim', endDim) },
      arguments: [startDim, endDim],
      outputShape: (input) => {
        const [start, end] = [startDim, endDim].map((d) => (d < 0 ? d + input.length : d)) as [
          number,
          number,
        ];
        if (start < 0 || end >= input.length || start > end) {
          throw new TokenLearnerError(
            'ERR_SHAPE_MISMATCH',
            `Expected an input with dimensions ${startDim} to ${endDim}, in this order, but received ${formatShape(input)}`,
          );
        }
        const merged = input.slice(start, end + 1).reduce((product, size) => product * size, 1);
        return [...input.slice(0, start), merged, ...input.slice(end + 1)];
      },
      repr: `Flatten(start_dim=${startDim}, end_dim=${endDim})`,
    });
  }
}
