import { TokenLearnerError } from '../errors';
import { weightAndBias } from '../init';
import { checkShape, elementCount, formatShape, type Shape } from '../shape';
import { checkBoolean, checkInteger, checkOptions } from '../validate';
import { checkPlacement, PLACEMENT_OPTIONS, type PlacementOptions, UnaryLeaf } from './leaf';
import { assertUsable } from './module';

export interface LinearOptions extends PlacementOptions {
  /** @default true */
  bias?: boolean;
}

/** torch.nn.Linear: (..., in) to (..., out). Parameters: weight (out, in), bias (out). */
export class Linear extends UnaryLeaf {
  readonly #inFeatures: number;
  readonly #outFeatures: number;
  readonly #bias: boolean;

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
      config: {},
      ...placement,
      specs: [{ name: 'weight', shape }, ...(bias ? [{ name: 'bias', shape: [outFeatures] }] : [])],
      values: weightAndBias(shape, bias, placement.dtype),
    });
    this.#inFeatures = inFeatures;
    this.#outFeatures = outFeatures;
    this.#bias = bias;
  }

  override outputShape(input: Shape): number[] {
    assertUsable(this, Linear);
    const shape = checkShape('shape', input);
    if (shape.at(-1) !== this.#inFeatures) {
      throw new TokenLearnerError(
        'ERR_SHAPE_MISMATCH',
        `Expected an input of shape (..., ${this.#inFeatures}) but received ${formatShape(shape)}`,
      );
    }
    return checkShape('output.shape', [...shape.slice(0, -1), this.#outFeatures]);
  }

  override toString(): string {
    assertUsable(this, Linear);
    const bias = this.#bias ? 'True' : 'False';
    return `Linear(in_features=${this.#inFeatures}, out_features=${this.#outFeatures}, bias=${bias})`;
  }
}
