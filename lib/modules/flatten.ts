import { TokenLearnerError } from '../errors';
import { checkShape, formatShape, type Shape } from '../shape';
import { checkInteger } from '../validate';
import { UnaryLeaf } from './leaf';
import { assertUsable } from './module';

/** torch.nn.Flatten: dimensions startDim to endDim become one. */
export class Flatten extends UnaryLeaf {
  readonly #startDim: number;
  readonly #endDim: number;

  /**
   * @param startDim - first dimension to merge; negative ones count from the end. @default 1
   * @param endDim - last dimension to merge. @default -1
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE.
   */
  constructor(startDim = 1, endDim = -1) {
    super({
      kind: 'flatten',
      config: { startDim: checkInteger('startDim', startDim), endDim: checkInteger('endDim', endDim) },
      device: 'cpu',
      dtype: 'float32',
      specs: [],
      values: [],
    });
    this.#startDim = startDim;
    this.#endDim = endDim;
  }

  override outputShape(input: Shape): number[] {
    assertUsable(this, Flatten);
    const shape = checkShape('shape', input);
    const dimensions = shape.length;
    const [start, end] = [this.#startDim, this.#endDim].map((d) => (d < 0 ? d + dimensions : d)) as [
      number,
      number,
    ];
    if (start < 0 || end >= dimensions || start > end) {
      throw new TokenLearnerError(
        'ERR_SHAPE_MISMATCH',
        `Expected an input with dimensions ${this.#startDim} to ${this.#endDim}, in this order, but received ${formatShape(shape)}`,
      );
    }
    const merged = shape.slice(start, end + 1).reduce((product, size) => product * size, 1);
    return [...shape.slice(0, start), merged, ...shape.slice(end + 1)];
  }

  override toString(): string {
    assertUsable(this, Flatten);
    return `Flatten(start_dim=${this.#startDim}, end_dim=${this.#endDim})`;
  }
}
