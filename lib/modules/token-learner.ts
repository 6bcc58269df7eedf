import { weightAndBias } from '../init';
import { elementCount } from '../shape';
import type { AnyTensor } from '../tensor/tensor';
import { checkBoolean, checkInteger, checkOneOf, checkOptions, type IntegerRange } from '../validate';
import { registerClass } from './classes';
import { checkThreads, libtorchUser } from './engine-options';
import { inferConfig } from './infer-config';
import { checkPlacement, PLACEMENT_OPTIONS, type PlacementOptions } from './leaf';
import type { ParameterSpec } from './native';
import { withWeights } from './recognised';
import { assertSubclass, assertUsable } from './state';
import type { StateDict } from './state-dict';
import { TokenPooling } from './token-pooling';

const ENGINES = ['auto', 'fused', 'grouped-conv'] as const;
// A sanity limit; larger values are almost certainly typos.
const MOST_LAYERS = 1000;
// The options that a state dict does not determine.
const REST = ['engine', 'intraOpThreads', 'allowTf32', ...PLACEMENT_OPTIONS] as const;
const OPTIONS = ['dim', 'ffMult', 'numOutputTokens', 'numLayers', ...REST] as const;

/**
 * The way a TokenLearner computes. 'grouped-conv' is the documented computation on libtorch's grouped convolutions. 'fused'
 * never stores the repeated input or a whole hidden layer. On the CPU it can always run, on CUDA with `numLayers` 2. 'auto' is
 * 'fused' if that can run, and 'grouped-conv' otherwise.
 */
export type Engine = (typeof ENGINES)[number];

export interface TokenLearnerOptions extends PlacementOptions {
  /** C: the channels of the input. At least 1. Required. */
  dim: number;
  /** The hidden layer has ffMult * dim channels per token. At least 1. @default 2 */
  ffMult?: number | undefined;
  /** G: the tokens of the output. At least 1. @default 8 */
  numOutputTokens?: number | undefined;
  /**
   * The number of grouped convolutions. 1 is a single one, from C channels to 1. 2 is the documented class's number. More add hidden ones,
   * with a GELU after each. The Python class accepts this option but ignores it: it always has 2. From 1 to 1000. @default 2
   */
  numLayers?: number | undefined;
  /** @default 'auto' */
  engine?: Engine | undefined;
  /** The most threads that one forward of the fused CPU engine uses, from 0 to 4096; 0 means all. @default 0 */
  intraOpThreads?: number | undefined;
  /**
   * Lets products in float32 on CUDA round their operands to TF32, as PyTorch's convolutions do by default. This is faster, with
   * errors of about 1e-3. @default false
   */
  allowTf32?: boolean | undefined;
}

interface Config {
  dim: number;
  ffMult: number;
  numOutputTokens: number;
  numLayers: number;
  engine: Engine;
  intraOpThreads: number;
  allowTf32: boolean;
}

function checkConfig(options: Partial<Record<(typeof OPTIONS)[number], unknown>>): Config {
  const integer = (
    name: Exclude<keyof Config, 'engine' | 'intraOpThreads' | 'allowTf32'>,
    otherwise: number,
    range: IntegerRange = { min: 1 },
  ): number =>
    options[name] === undefined ? otherwise : checkInteger(`options.${name}`, options[name], range);
  return {
    dim: checkInteger('options.dim', options.dim, { min: 1 }),
    ffMult: integer('ffMult', 2),
    numOutputTokens: integer('numOutputTokens', 8),
    numLayers: integer('numLayers', 2, { min: 1, max: MOST_LAYERS }),
    engine: options.engine === undefined ? 'auto' : checkOneOf('options.engine', options.engine, ENGINES),
    intraOpThreads: checkThreads(options.intraOpThreads),
    allowTf32: checkBoolean('options.allowTf32', options.allowTf32 ?? false),
  };
}

/** The output and input channels per group of each grouped convolution, in order. */
function layerSizes({ dim, ffMult, numLayers }: Config): [number, number][] {
  const hidden = ffMult * dim;
  return Array.from({ length: numLayers }, (_, i) => [
    i === numLayers - 1 ? 1 : hidden,
    i === 0 ? dim : hidden,
  ]);
}

function parameterSpecs(config: Config): ParameterSpec[] {
  const groups = config.numOutputTokens;
  const specs = layerSizes(config).flatMap(([outputs, inputs], i) => [
    { name: `net.${2 * i}.weight`, shape: [groups * outputs, inputs, 1, 1] },
    { name: `net.${2 * i}.bias`, shape: [groups * outputs] },
  ]);
  for (const { shape } of specs) elementCount(shape, Float32Array.BYTES_PER_ELEMENT);
  return specs;
}

/** Returns a TokenLearner's configuration. It is also the guard of the getters. Throws ERR_INVALID_THIS or ERR_DISPOSED. */
let settings: (self: unknown) => Config;

/**
 * The TokenLearner layer (Ryoo et al., "TokenLearner: What Can 8 Learned Tokens Do for Images and Videos?", 2021), as the
 * Python class of the same name documents it. For an input x of shape `(..., C, H, W)`, with `P = H * W` and `K = ffMult * C`:
 *
 * ```text
 * A[g,p] = sum_k w2[g,k] * gelu(sum_c W1[g*K+k,c] * x[c,p] + b1[g*K+k]) + b2[g]
 * y[c,g] = (1/P) * sum_p x[c,p] * A[g,p]
 * ```
 *
 * with the exact (erf) GELU and no normalisation of A.
 *
 * @example
 * ```ts
 * import { Tensor, TokenLearner } from 'tokenlearner';
 *
 * const model = new TokenLearner({ dim: 64, numOutputTokens: 8 });
 * const x = Tensor.randn([2, 64, 16, 16]);
 * const { tokens, attention } = await model.forward(x, { returnAttention: true });
 * console.log(tokens.shape, attention.shape); // [ 2, 64, 8 ] [ 2, 8, 16, 16 ]
 * ```
 */
export class TokenLearner extends TokenPooling {
  readonly #config: Config;

  static {
    settings = (self) => {
      assertUsable(self, TokenLearner);
      return self.#config;
    };
    registerClass('TokenLearner', this, ([options]) => new TokenLearner(options as TokenLearnerOptions));
  }

  /**
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE (also for a missing `dim`), ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE,
   * ERR_CUDA_UNAVAILABLE, ERR_ENGINE_UNSUPPORTED, ERR_OUT_OF_MEMORY; ERR_LIBTORCH_* if libtorch does not load.
   */
  constructor(options: TokenLearnerOptions) {
    const given = checkOptions('options', options, OPTIONS);
    const config = checkConfig(given);
    const specs = parameterSpecs(config);
    const placement = checkPlacement(given);
    super(
      {
        kind: 'token-learner',
        libtorchUser: libtorchUser('TokenLearner', config.engine, placement.device),
        config: { ...config },
        arguments: [{ ...config, device: 'cpu' }],
        placement,
        parameters: specs,
        initial: () =>
          specs
            .filter((_, i) => i % 2 === 0)
            .flatMap(({ shape }) => weightAndBias(shape, true, placement.dtype)),
        repr: repr(config),
      },
      config,
      'grid',
    );
    this.#config = config;
  }

  /**
   * Creates a TokenLearner with the weights of a state dict. Their shapes determine dim, ffMult, numOutputTokens and numLayers.
   * Called on a subclass it creates one of that; the subclass's constructor then takes the same options.
   *
   * @param dict - tensors with the keys net.0.weight, net.0.bias, net.2.weight, ...
   * @param options - the other options; `dtype` defaults to the weights' dtype.
   * @throws TokenLearnerError ERR_STATE_DICT if the shapes are not those of a TokenLearner.
   *
   * @example
   * ```ts
   * import { TokenLearner } from 'tokenlearner';
   *
   * const dict = new TokenLearner({ dim: 32, numOutputTokens: 4 }).stateDict();
   * const model = TokenLearner.fromStateDict(dict);
   * console.log(model.dim, model.numOutputTokens); // 32 4
   * ```
   */
  static fromStateDict<M extends TokenLearner = TokenLearner>(
    this: new (options: TokenLearnerOptions) => M,
    dict: StateDict | ReadonlyMap<string, AnyTensor>,
    options?: Omit<TokenLearnerOptions, 'dim' | 'ffMult' | 'numOutputTokens' | 'numLayers'>,
  ): M {
    assertSubclass(this, TokenLearner);
    const given = checkOptions('options', options, REST);
    const { dtype, ...shape } = inferConfig(dict);
    return withWeights(new this({ ...shape, dtype, ...given } as TokenLearnerOptions), dict);
  }

  /** C: the channels of the input. */
  override get dim(): number {
    return settings(this).dim;
  }

  /** The hidden layer has ffMult * dim channels per token. */
  get ffMult(): number {
    return settings(this).ffMult;
  }

  /** G: the tokens of the output. */
  override get numOutputTokens(): number {
    return settings(this).numOutputTokens;
  }

  /** The number of grouped convolutions. */
  get numLayers(): number {
    return settings(this).numLayers;
  }
}

function repr(config: Config): string {
  const groups = config.numOutputTokens;
  const rest = `kernel_size=(1, 1), stride=(1, 1)${groups === 1 ? '' : `, groups=${groups}`}`;
  const layers = layerSizes(config)
    .map(([outputs, inputs]) => `Conv2d(${inputs * groups}, ${outputs * groups}, ${rest})`)
    .flatMap((layer, i) => (i === 0 ? [layer] : ["GELU(approximate='none')", layer]));
  const lines = layers.map((layer, i) => `    (${i}): ${layer}`);
  return ['TokenLearner(', '  (net): Sequential(', ...lines, '  )', ')'].join('\n');
}
