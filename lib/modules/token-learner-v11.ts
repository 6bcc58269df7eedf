import { TokenLearnerError } from '../errors';
import { elementCount } from '../shape';
import type { AnyTensor } from '../tensor/tensor';
import { checkInteger, checkOneOf, checkOptions, describe, unexpected } from '../validate';
import { officialGroups } from '../weights';
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
import type { RequestOptions } from './request';
import { assertSubclass, assertUsable } from './state';
import type { StateDict } from './state-dict';
import { type TokenLearnerSyncOptions, TokenPooling } from './token-pooling';

const VARIANTS = ['a', 'b', 'd'] as const;
// The options that a state dict does not determine.
const REST = [...OFFICIAL_OPTIONS, ...PLACEMENT_OPTIONS] as const;
const OPTIONS = ['dim', 'numOutputTokens', 'bottleneckDim', 'variant', 'groups', ...REST] as const;

/**
 * The way a TokenLearnerV11 computes. 'fused' reads the input once and stores no hidden layer. On the CPU it can always run, on CUDA
 * with variant 'd'. 'libtorch' is the documented computation on libtorch's operators. 'auto' is 'fused' if that can run, and
 * 'libtorch' otherwise.
 */
export type TokenLearnerV11Engine = (typeof OFFICIAL_ENGINES)[number];

/**
 * The version of the official code. 'd' is the current one, an MLP on each pixel, since 2022. 'a' and 'b' are the first two, with
 * grouped convolutions: 'a' of December 2021, and 'b' of January 2022, which has a GELU between them.
 */
export type TokenLearnerV11Variant = (typeof VARIANTS)[number];

export interface TokenLearnerV11Options extends PlacementOptions {
  /** C: the channels of the input. At least 1. Required. */
  dim: number;
  /** G: the tokens of the output. At least 1. @default 8 */
  numOutputTokens?: number | undefined;
  /** D: the hidden units of variant 'd'. At least 1. @default 64 */
  bottleneckDim?: number | undefined;
  /** @default 'd' */
  variant?: TokenLearnerV11Variant | undefined;
  /**
   * The groups of the convolutions of variants 'a' and 'b'. They divide `dim`. @default the official code's: 8 for 'a'; for 'b' 1
   * below 256 channels, else dim / 128 rounded down
   */
  groups?: number | undefined;
  /** The number that LayerNorm adds to the variance. At least 0. @default 1e-6 */
  eps?: number | undefined;
  /** GELU's form in variants 'b' and 'd': with tanh as in the official code, or exact ('none') as in some ports. @default 'tanh' */
  approximate?: 'tanh' | 'none' | undefined;
  /** @default 'auto' */
  engine?: TokenLearnerV11Engine | undefined;
  /** The most threads that one forward of the fused CPU engine uses, from 0 to 4096; 0 means all. @default 0 */
  intraOpThreads?: number | undefined;
  /**
   * Lets the fused engine round the operands of products in float32 on CUDA to TF32. This is faster, with errors of about 1e-3.
   * @default false
   */
  allowTf32?: boolean | undefined;
}

/** Options of {@link TokenLearnerV11.fromStateDict}: those that the weights do not determine. */
export interface TokenLearnerV11StateDictOptions extends Omit<
  TokenLearnerV11Options,
  'dim' | 'numOutputTokens' | 'bottleneckDim' | 'groups'
> {
  /** What stands before the names. Needed where the weights of several TokenLearners are in one state dict. @default any */
  prefix?: string | undefined;
}

/** Options of one {@link TokenLearnerV11.forwardSync}. */
export interface TokenLearnerV11SyncOptions extends TokenLearnerSyncOptions {
  /**
   * With inputLayout 'channels-last' an input of rank 2 is (P, C), of rank 3 (B, P, C), and from rank 4 on (..., H, W, C). 'flat'
   * makes any rank (..., P, C).
   */
  pixels?: 'flat' | undefined;
}

/** Options of one {@link TokenLearnerV11.forward}. */
export interface TokenLearnerV11ForwardOptions extends TokenLearnerV11SyncOptions, RequestOptions {}

interface Config extends OfficialConfig {
  dim: number;
  numOutputTokens: number;
  bottleneckDim: number;
  variant: TokenLearnerV11Variant;
  groups: number;
}

type Given = Partial<Record<(typeof OPTIONS)[number], unknown>>;

/** The options that a variant does not have. */
const STRANGERS = { a: ['bottleneckDim', 'approximate'], b: ['bottleneckDim'], d: ['groups'] } as const;

/** The options of the constructor that give the same configuration. */
function applicable(config: Config): Partial<Config> {
  const strangers: readonly string[] = STRANGERS[config.variant];
  return Object.fromEntries(Object.entries(config).filter(([name]) => !strangers.includes(name)));
}

/** Refuses options that the variant does not have. */
function checkApplicable(given: Given, variant: TokenLearnerV11Variant): void {
  for (const name of STRANGERS[variant]) {
    if (given[name] === undefined) continue;
    const owners = name === 'groups' ? "'a' and 'b'" : name === 'bottleneckDim' ? "'d'" : "'b' and 'd'";
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected no \`options.${name}\` with variant '${variant}' but received ${describe(given[name])}: only ${owners} ${owners.includes('and') ? 'have' : 'has'} it`,
    );
  }
}

function checkGroups(given: unknown, dim: number, variant: TokenLearnerV11Variant): number {
  if (variant === 'd') return 1;
  const groups =
    given === undefined ? officialGroups(variant, dim) : checkInteger('options.groups', given, { min: 1 });
  if (dim % groups !== 0)
    throw unexpected('ERR_OUT_OF_RANGE', 'options.groups', `a divisor of dim ${dim}`, groups);
  return groups;
}

function checkConfig(given: Given): Config {
  const dim = checkInteger('options.dim', given.dim, { min: 1 });
  const variant = given.variant === undefined ? 'd' : checkOneOf('options.variant', given.variant, VARIANTS);
  checkApplicable(given, variant);
  return {
    dim,
    numOutputTokens: checkInteger('options.numOutputTokens', given.numOutputTokens ?? 8, { min: 1 }),
    bottleneckDim: checkInteger('options.bottleneckDim', given.bottleneckDim ?? 64, { min: 1 }),
    variant,
    groups: checkGroups(given.groups, dim, variant),
    ...checkOfficial(given),
  };
}

/** The position of the second convolution in `attention`: variant b has a GELU before it. */
function secondConvolution(variant: TokenLearnerV11Variant): number {
  return variant === 'a' ? 1 : 2;
}

function parameterSpecs(config: Config): ParameterSpec[] {
  const { dim, numOutputTokens, bottleneckDim, variant, groups } = config;
  const norm = ['norm.weight', 'norm.bias'].map((name) => ({ name, shape: [dim] }));
  const grouped = [dim, dim / groups, 1, 1];
  const rest =
    variant === 'd'
      ? [
          { name: 'mlp.0.weight', shape: [bottleneckDim, dim] },
          { name: 'mlp.0.bias', shape: [bottleneckDim] },
          { name: 'mlp.2.weight', shape: [numOutputTokens, bottleneckDim] },
          { name: 'mlp.2.bias', shape: [numOutputTokens] },
        ]
      : [
          { name: 'attention.0.weight', shape: grouped },
          { name: `attention.${secondConvolution(variant)}.weight`, shape: [numOutputTokens, dim, 1, 1] },
          { name: 'value.weight', shape: grouped },
        ];
  for (const { shape } of rest) elementCount(shape, Float32Array.BYTES_PER_ELEMENT);
  return [...norm, ...rest];
}

/** Returns a TokenLearnerV11's configuration. It is also the guard of the getters. Throws ERR_INVALID_THIS or ERR_DISPOSED. */
let settings: (self: unknown) => Config;

/**
 * TokenLearner v1.1, the official one since 2022 and the one in RT-1 (Ryoo et al., "TokenLearner: What Can 8 Learned Tokens Do for
 * Images and Videos?", 2021; google-research/scenic). For an input x of shape `(..., C, H, W)`, with `P = H * W`:
 *
 * ```text
 * L[g,p] = (gelu(LayerNorm(x)[p] W0 + b0) W1 + b1)[g]
 * A[g,p] = softmax over p of L[g,p]
 * y[c,g] = sum_p A[g,p] * x[c,p]
 * ```
 *
 * Parameters: norm.weight, norm.bias (C); mlp.0.weight (D, C), mlp.0.bias (D); mlp.2.weight (G, D), mlp.2.bias (G). Variants 'a' and
 * 'b' have grouped convolutions in place of the MLP and pool a grouped convolution of x: attention.0.weight (C, C / groups, 1, 1),
 * attention.1.weight ('a') or attention.2.weight ('b') (G, C, 1, 1), value.weight (C, C / groups, 1, 1).
 *
 * @example
 * ```ts
 * import { Tensor, TokenLearnerV11 } from 'tokenlearner';
 *
 * const learner = new TokenLearnerV11({ dim: 512 });
 * const frames = Tensor.randn([6, 81, 512]);
 * const tokens = await learner.forward(frames, { inputLayout: 'channels-last', layout: 'tokens-first' });
 * console.log(tokens.shape); // [ 6, 8, 512 ]
 * ```
 */
export class TokenLearnerV11 extends TokenPooling<TokenLearnerV11SyncOptions, TokenLearnerV11ForwardOptions> {
  readonly #config: Config;

  static {
    settings = (self) => {
      assertUsable(self, TokenLearnerV11);
      return self.#config;
    };
    registerClass(
      'TokenLearnerV11',
      this,
      ([options]) => new TokenLearnerV11(options as TokenLearnerV11Options),
    );
  }

  /**
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE (also for a missing `dim`), ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE (also for an
   * option that the variant does not have), ERR_CUDA_UNAVAILABLE, ERR_ENGINE_UNSUPPORTED, ERR_OUT_OF_MEMORY; ERR_LIBTORCH_* if
   * libtorch does not load.
   */
  constructor(options: TokenLearnerV11Options) {
    const given = checkOptions('options', options, OPTIONS);
    const config = checkConfig(given);
    const specs = parameterSpecs(config);
    const placement = checkPlacement(given);
    super(
      {
        kind: 'token-learner-v11',
        libtorchUser: libtorchUser('TokenLearnerV11', config.engine, placement.device),
        config: { ...config },
        arguments: [{ ...applicable(config), device: 'cpu' }],
        placement,
        parameters: specs,
        initial: () => specs.map((spec) => officialInitial(spec, placement.dtype)),
        repr: repr(config),
      },
      config,
      'flat-below-4',
    );
    this.#config = config;
  }

  /**
   * Creates a TokenLearnerV11 with the weights of a state dict: this package's own names, flax's and RT-1's with any prefix, and
   * those of the PyTorch ports. Their shapes determine dim, numOutputTokens, bottleneckDim and groups, and the names the variant
   * where they can. `eps` and `approximate` are not in a file. Called on a subclass it creates one of that; the subclass's
   * constructor then takes the same options.
   *
   * @param options - the other options; `dtype` defaults to the weights' dtype.
   * @throws TokenLearnerError ERR_STATE_DICT if these are not the weights of one TokenLearnerV11; the message names the option to
   * give if there are several.
   *
   * @example
   * ```ts
   * import { Tensor, TokenLearnerV11 } from 'tokenlearner';
   *
   * // The names of flax, under any prefix.
   * const dict = {
   *   'encoder/LayerNorm_0/scale': Tensor.ones([32]),
   *   'encoder/LayerNorm_0/bias': Tensor.zeros([32]),
   *   'encoder/token_masking/Dense_0/kernel': Tensor.randn([32, 64]),
   *   'encoder/token_masking/Dense_0/bias': Tensor.zeros([64]),
   *   'encoder/token_masking/Dense_1/kernel': Tensor.randn([64, 8]),
   *   'encoder/token_masking/Dense_1/bias': Tensor.zeros([8]),
   * };
   * const learner = TokenLearnerV11.fromStateDict(dict);
   * console.log(learner.dim, learner.bottleneckDim, learner.numOutputTokens); // 32 64 8
   * ```
   */
  static fromStateDict<M extends TokenLearnerV11 = TokenLearnerV11>(
    this: new (options: TokenLearnerV11Options) => M,
    dict: StateDict | ReadonlyMap<string, AnyTensor>,
    options?: TokenLearnerV11StateDictOptions,
  ): M {
    assertSubclass(this, TokenLearnerV11);
    const { prefix, variant, ...given } = checkOptions('options', options, ['prefix', 'variant', ...REST]);
    const choice = variant === undefined ? undefined : checkOneOf('options.variant', variant, VARIANTS);
    const found = recogniseWeights(dict, { module: 'TokenLearnerV11', variant: choice, prefix });
    const all = { dtype: found.dtype, ...found.options, ...given };
    return withWeights(new this(all as unknown as TokenLearnerV11Options), found.weights);
  }

  /** C: the channels of the input. */
  override get dim(): number {
    return settings(this).dim;
  }

  /** G: the tokens of the output. */
  override get numOutputTokens(): number {
    return settings(this).numOutputTokens;
  }

  /** D: the hidden units of variant 'd'; undefined for the others. */
  get bottleneckDim(): number | undefined {
    const { variant, bottleneckDim } = settings(this);
    return variant === 'd' ? bottleneckDim : undefined;
  }

  /** The groups of the convolutions of variants 'a' and 'b'; undefined for 'd'. */
  get groups(): number | undefined {
    const { variant, groups } = settings(this);
    return variant === 'd' ? undefined : groups;
  }

  /** The version of the official code. */
  get variant(): TokenLearnerV11Variant {
    return settings(this).variant;
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

function repr({ dim, numOutputTokens, bottleneckDim, variant, groups, eps, approximate }: Config): string {
  const norm = normLine('norm', dim, eps);
  const gelu = `GELU(approximate='${approximate}')`;
  const convolution = (outputs: number, group: number): string =>
    `Conv2d(${dim}, ${outputs}, kernel_size=(1, 1), stride=(1, 1)${group === 1 ? '' : `, groups=${group}`}, bias=False)`;
  const rest =
    variant === 'd'
      ? sequentialLines('mlp', [
          `Linear(in_features=${dim}, out_features=${bottleneckDim}, bias=True)`,
          gelu,
          `Linear(in_features=${bottleneckDim}, out_features=${numOutputTokens}, bias=True)`,
        ])
      : [
          ...sequentialLines('attention', [
            convolution(dim, groups),
            ...(variant === 'b' ? [gelu] : []),
            convolution(numOutputTokens, 1),
          ]),
          `  (value): ${convolution(dim, groups)}`,
        ];
  return ['TokenLearnerV11(', norm, ...rest, ')'].join('\n');
}
