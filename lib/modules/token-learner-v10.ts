import { elementCount } from '../shape';
import type { AnyTensor } from '../tensor/tensor';
import { checkInteger, checkOneOf, checkOptions } from '../validate';
import { registerClass } from './classes';
import { libtorchUser } from './engine-options';
import { checkPlacement, PLACEMENT_OPTIONS, type PlacementOptions } from './leaf';
import type { ParameterSpec } from './native';
import {
  checkOfficial,
  normLine,
  OFFICIAL_ENGINES,
  OFFICIAL_OPTIONS,
  type OfficialConfig,
  officialInitial,
  sequentialLines,
} from './official';
import { recogniseWeights, withWeights } from './recognised';
import { assertSubclass, assertUsable } from './state';
import type { StateDict } from './state-dict';
import { TokenPooling } from './token-pooling';

const POOLING = ['sum', 'mean'] as const;
// The options that a state dict does not determine.
const REST = ['pooling', ...OFFICIAL_OPTIONS, ...PLACEMENT_OPTIONS] as const;
const OPTIONS = ['dim', 'numOutputTokens', ...REST] as const;

/**
 * The way a TokenLearnerV10 computes. 'fused' stores no normalised image. 'libtorch' is the documented computation on libtorch's
 * operators. 'auto' is 'fused' if that can run, always on the CPU, and 'libtorch' otherwise.
 */
export type TokenLearnerV10Engine = (typeof OFFICIAL_ENGINES)[number];

export interface TokenLearnerV10Options extends PlacementOptions {
  /** C: the channels of the input. At least 1. Required. */
  dim: number;
  /** G: the tokens of the output. At least 1. @default 8 */
  numOutputTokens?: number | undefined;
  /** How pixels are pooled: their weighted sum, as in the official code, or the mean, as in its Keras example and some ports. @default 'sum' */
  pooling?: 'sum' | 'mean' | undefined;
  /** The number that LayerNorm adds to the variance. At least 0. @default 1e-6 */
  eps?: number | undefined;
  /** GELU's form: with tanh as in the official code, or exact ('none') as in some ports. @default 'tanh' */
  approximate?: 'tanh' | 'none' | undefined;
  /** @default 'auto' */
  engine?: TokenLearnerV10Engine | undefined;
  /** The most threads that one forward of the fused CPU engine uses, from 0 to 4096; 0 means all. @default 0 */
  intraOpThreads?: number | undefined;
  /**
   * Lets the fused engine round the operands of products in float32 on CUDA to TF32. This is faster, with errors of about 1e-3.
   * @default false
   */
  allowTf32?: boolean | undefined;
}

/** Options of {@link TokenLearnerV10.fromStateDict}: those that the weights do not determine. */
export interface TokenLearnerV10StateDictOptions extends Omit<
  TokenLearnerV10Options,
  'dim' | 'numOutputTokens'
> {
  /** What stands before the names. Needed where the weights of several TokenLearners are in one state dict. @default any */
  prefix?: string | undefined;
}

interface Config extends OfficialConfig {
  dim: number;
  numOutputTokens: number;
  pooling: 'sum' | 'mean';
}

function checkConfig(given: Partial<Record<(typeof OPTIONS)[number], unknown>>): Config {
  return {
    dim: checkInteger('options.dim', given.dim, { min: 1 }),
    numOutputTokens: checkInteger('options.numOutputTokens', given.numOutputTokens ?? 8, { min: 1 }),
    pooling: checkOneOf('options.pooling', given.pooling ?? 'sum', POOLING),
    ...checkOfficial(given),
  };
}

function parameterSpecs({ dim, numOutputTokens }: Config): ParameterSpec[] {
  const specs = [
    { name: 'norm.weight', shape: [dim] },
    { name: 'norm.bias', shape: [dim] },
    ...[0, 2, 4, 6].map((i) => ({
      name: `attention.${i}.weight`,
      shape: [numOutputTokens, i === 0 ? dim : numOutputTokens, 3, 3],
    })),
  ];
  for (const { shape } of specs) elementCount(shape, Float32Array.BYTES_PER_ELEMENT);
  return specs;
}

/** Returns a TokenLearnerV10's configuration. It is also the guard of the getters. Throws ERR_INVALID_THIS or ERR_DISPOSED. */
let settings: (self: unknown) => Config;

/**
 * TokenLearner v1.0, the paper's (Ryoo et al., "TokenLearner: What Can 8 Learned Tokens Do for Images and Videos?", 2021;
 * google-research/scenic). For an input x of shape `(..., C, H, W)`, with `P = H * W`:
 *
 * ```text
 * S = conv3(gelu(conv2(gelu(conv1(gelu(conv0(LayerNorm(x))))))))      3x3, zero padding 1, no bias
 * A[g,p] = sigmoid(S[g,p])
 * y[c,g] = sum_p A[g,p] * x[c,p]                                      divided by P with pooling 'mean'
 * ```
 *
 * The convolutions see neighbours, so the input is a grid of pixels: channels last is (..., H, W, C) in every rank.
 *
 * Parameters: norm.weight, norm.bias (C); attention.0.weight (G, C, 3, 3); attention.2.weight, attention.4.weight, attention.6.weight
 * (G, G, 3, 3).
 *
 * @example
 * ```ts
 * import { Tensor, TokenLearnerV10 } from 'tokenlearner';
 *
 * const learner = new TokenLearnerV10({ dim: 64, pooling: 'mean' });
 * const { tokens, attention } = await learner.forward(Tensor.randn([2, 64, 14, 14]), { returnAttention: true });
 * console.log(tokens.shape, attention.shape); // [ 2, 64, 8 ] [ 2, 8, 14, 14 ]
 * ```
 */
export class TokenLearnerV10 extends TokenPooling {
  readonly #config: Config;

  static {
    settings = (self) => {
      assertUsable(self, TokenLearnerV10);
      return self.#config;
    };
    registerClass(
      'TokenLearnerV10',
      this,
      ([options]) => new TokenLearnerV10(options as TokenLearnerV10Options),
    );
  }

  /**
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE (also for a missing `dim`), ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE,
   * ERR_CUDA_UNAVAILABLE, ERR_ENGINE_UNSUPPORTED, ERR_OUT_OF_MEMORY; ERR_LIBTORCH_* if libtorch does not load.
   */
  constructor(options: TokenLearnerV10Options) {
    const given = checkOptions('options', options, OPTIONS);
    const config = checkConfig(given);
    const specs = parameterSpecs(config);
    const placement = checkPlacement(given);
    super(
      {
        kind: 'token-learner-v10',
        libtorchUser: libtorchUser('TokenLearnerV10', config.engine, placement.device),
        config: { ...config },
        arguments: [{ ...config, device: 'cpu' }],
        placement,
        parameters: specs,
        initial: () => specs.map((spec) => officialInitial(spec, placement.dtype)),
        repr: repr(config),
      },
      config,
      'grid',
    );
    this.#config = config;
  }

  /**
   * Creates a TokenLearnerV10 with the weights of a state dict: this package's own names, flax's with any prefix, and those of the PyTorch
   * ports. Their shapes determine dim and numOutputTokens. `pooling`, `eps` and `approximate` are not in a file. Called on a subclass it
   * creates one of that; the subclass's constructor then takes the same options.
   *
   * @param options - the other options; `dtype` defaults to the weights' dtype.
   * @throws TokenLearnerError ERR_STATE_DICT if these are not the weights of one TokenLearnerV10; the message names the option to give
   * if there are several.
   *
   * @example
   * ```ts
   * import { TokenLearnerV10 } from 'tokenlearner';
   *
   * const dict = new TokenLearnerV10({ dim: 32, numOutputTokens: 4 }).stateDict();
   * const learner = TokenLearnerV10.fromStateDict(dict, { pooling: 'mean' });
   * console.log(learner.dim, learner.numOutputTokens, learner.pooling); // 32 4 mean
   * ```
   */
  static fromStateDict<M extends TokenLearnerV10 = TokenLearnerV10>(
    this: new (options: TokenLearnerV10Options) => M,
    dict: StateDict | ReadonlyMap<string, AnyTensor>,
    options?: TokenLearnerV10StateDictOptions,
  ): M {
    assertSubclass(this, TokenLearnerV10);
    const { prefix, ...given } = checkOptions('options', options, ['prefix', ...REST]);
    const found = recogniseWeights(dict, { module: 'TokenLearnerV10', variant: undefined, prefix });
    const all = { dtype: found.dtype, ...found.options, ...given };
    return withWeights(new this(all as unknown as TokenLearnerV10Options), found.weights);
  }

  /** C: the channels of the input. */
  override get dim(): number {
    return settings(this).dim;
  }

  /** G: the tokens of the output. */
  override get numOutputTokens(): number {
    return settings(this).numOutputTokens;
  }

  /** How pixels are pooled. */
  get pooling(): 'sum' | 'mean' {
    return settings(this).pooling;
  }

  /** The number that LayerNorm adds to the variance. */
  get eps(): number {
    return settings(this).eps;
  }

  /** GELU's form. */
  get approximate(): 'tanh' | 'none' {
    return settings(this).approximate;
  }
}

function repr({ dim, numOutputTokens, eps, approximate }: Config): string {
  const convolution = (inputs: number): string =>
    `Conv2d(${inputs}, ${numOutputTokens}, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)`;
  const layers = [0, 1, 2, 3].flatMap((i) => [
    ...(i === 0 ? [] : [`GELU(approximate='${approximate}')`]),
    convolution(i === 0 ? dim : numOutputTokens),
  ]);
  return ['TokenLearnerV10(', normLine('norm', dim, eps), ...sequentialLines('attention', layers), ')'].join(
    '\n',
  );
}
