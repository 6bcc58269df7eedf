import { checkOneOf, checkOptions, type NoOptions } from '../validate';
import { registerClass } from './classes';
import { UnaryLeaf } from './leaf';

const APPROXIMATIONS = ['none', 'tanh'] as const;

/** Options of {@link GELU}. */
export interface GELUOptions {
  /** 'none' is the exact form, with erf. @default 'none' */
  approximate?: (typeof APPROXIMATIONS)[number] | undefined;
}

/**
 * torch.nn.GELU. Any shape.
 *
 * @example
 * ```ts
 * import { GELU, Tensor } from 'tokenlearner';
 *
 * const y = await new GELU().forward(Tensor.from([-1, 0, 1]));
 * console.log(y); // tensor([-0.1587, 0.0000, 0.8413])
 * ```
 */
export class GELU extends UnaryLeaf {
  static {
    registerClass('GELU', this, ([options]) => new GELU(options as GELUOptions));
  }

  /** @throws TokenLearnerError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE. */
  constructor(options?: GELUOptions) {
    const given = checkOptions('options', options, ['approximate']);
    const approximate = checkOneOf('options.approximate', given.approximate ?? 'none', APPROXIMATIONS);
    super({
      kind: 'gelu',
      libtorchUser: 'GELU',
      config: { approximate },
      arguments: [{ approximate }],
      outputShape: (input) => input,
      repr: `GELU(approximate='${approximate}')`,
    });
  }
}

/**
 * torch.nn.ReLU. Any shape.
 *
 * @example
 * ```ts
 * import { ReLU, Tensor } from 'tokenlearner';
 *
 * const y = await new ReLU().forward(Tensor.from([-1, 0, 1]));
 * console.log(y); // tensor([0., 0., 1.])
 * ```
 */
export class ReLU extends UnaryLeaf {
  static {
    registerClass('ReLU', this, () => new ReLU());
  }

  /** @throws TokenLearnerError ERR_INVALID_ARG_VALUE for any option; ERR_LIBTORCH_* if libtorch does not load. */
  constructor(options?: NoOptions) {
    checkOptions('options', options, []);
    super({ kind: 'relu', libtorchUser: 'ReLU', config: {}, outputShape: (input) => input, repr: 'ReLU()' });
  }
}
