import { checkShape, type Shape } from '../shape';
import { checkOneOf, checkOptions, type NoOptions } from '../validate';
import { UnaryLeaf } from './leaf';
import { assertUsable } from './module';

const APPROXIMATIONS = ['none', 'tanh'] as const;

/** Options of {@link GELU}. */
export interface GELUOptions {
  /** 'none' is the exact form with erf. @default 'none' */
  approximate?: 'none' | 'tanh';
}

/** torch.nn.GELU. Any shape. */
export class GELU extends UnaryLeaf {
  readonly #approximate: 'none' | 'tanh';

  /** @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE. */
  constructor(options?: GELUOptions) {
    const given = checkOptions('options', options, ['approximate']);
    const approximate =
      given.approximate === undefined
        ? 'none'
        : checkOneOf('options.approximate', given.approximate, APPROXIMATIONS);
    super({ kind: 'gelu', config: { approximate }, device: 'cpu', dtype: 'float32', specs: [], values: [] });
    this.#approximate = approximate;
  }

  override outputShape(shape: Shape): number[] {
    assertUsable(this, GELU);
    return checkShape('shape', shape);
  }

  override toString(): string {
    assertUsable(this, GELU);
    return `GELU(approximate='${this.#approximate}')`;
  }
}

/** torch.nn.ReLU. Any shape. */
export class ReLU extends UnaryLeaf {
  /** @throws TokenLearnerError ERR_INVALID_ARG_VALUE for any option; what loading libtorch throws (ERR_LIBTORCH_*). */
  constructor(options?: NoOptions) {
    checkOptions('options', options, []);
    super({ kind: 'relu', config: {}, device: 'cpu', dtype: 'float32', specs: [], values: [] });
  }

  override outputShape(shape: Shape): number[] {
    assertUsable(this, ReLU);
    return checkShape('shape', shape);
  }

  override toString(): string {
    assertUsable(this, ReLU);
    return 'ReLU()';
  }
}
