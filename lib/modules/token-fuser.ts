import type { FloatDType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { CallOptions, TensorArg } from '../native-interface';
import { elementCount, formatShape } from '../shape';
import { type AnyTensor, flattened, type Tensor } from '../tensor/tensor';
import { checkBoolean, checkInteger, checkOptions } from '../validate';
import { FORMS } from '../weights';
import { binding } from '../binding';
import { registerClass } from './classes';
import { libtorchUser } from './engine-options';
import { checkForward, type InputLayout, type Layout, leadingOf, orderOf } from './image-order';
import { checkPlacement, LeafModule, PLACEMENT_OPTIONS, type PlacementOptions } from './leaf';
import type { ParameterSpec, Runnable } from './native';
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
import { REQUEST_OPTIONS, type RequestOptions } from './request';
import { adopted, checkInputDType, type Outputs, submitAll } from './run';
import { assertSubclass, assertUsable, layerOf } from './state';
import type { StateDict } from './state-dict';

// The options that a state dict does not determine.
const REST = [...OFFICIAL_OPTIONS, ...PLACEMENT_OPTIONS] as const;
const OPTIONS = ['dim', 'numTokens', 'bottleneckDim', 'useNormalization', ...REST] as const;

/**
 * The way a TokenFuser computes. 'fused' reads the original once and stores no hidden layer. 'libtorch' is the documented computation
 * on libtorch's operators. 'auto' is 'fused' if that can run, always on the CPU, and 'libtorch' otherwise.
 */
export type TokenFuserEngine = (typeof OFFICIAL_ENGINES)[number];

export interface TokenFuserOptions extends PlacementOptions {
  /** C: the channels of the tokens and of the original. At least 1. Required. */
  dim: number;
  /** G: the tokens. At least 1. @default 8 */
  numTokens?: number | undefined;
  /** D: the hidden units of the MLP on the original's pixels. At least 1. @default 64 */
  bottleneckDim?: number | undefined;
  /** LayerNorm of the tokens, before and after they are mixed. @default true */
  useNormalization?: boolean | undefined;
  /** The number that each LayerNorm adds to the variance. At least 0. @default 1e-6 */
  eps?: number | undefined;
  /** GELU's form: with tanh as in the official code, or exact ('none') as in some ports. @default 'tanh' */
  approximate?: 'tanh' | 'none' | undefined;
  /** @default 'auto' */
  engine?: TokenFuserEngine | undefined;
  /** The most threads that one forward of the fused CPU engine uses, from 0 to 4096; 0 means all. @default 0 */
  intraOpThreads?: number | undefined;
  /**
   * Lets the fused engine round the operands of products in float32 on CUDA to TF32. This is faster, with errors of about 1e-3.
   * @default false
   */
  allowTf32?: boolean | undefined;
}

/** Options of {@link TokenFuser.fromStateDict}: those that the weights do not determine. */
export interface TokenFuserStateDictOptions extends Omit<
  TokenFuserOptions,
  'dim' | 'numTokens' | 'bottleneckDim' | 'useNormalization'
> {
  /** What stands before the names. Needed where the weights of several TokenFusers are in one state dict. @default any */
  prefix?: string | undefined;
}

/** Options of one {@link TokenFuser.forwardSync}. */
export interface TokenFuserSyncOptions {
  /** The order of the tokens' dimensions: (..., C, G) or (..., G, C). @default 'channels-first' */
  layout?: Layout | undefined;
  /** The order of the original's dimensions, and of the result's. 'channels-last' is read as it is. @default 'channels-first' */
  inputLayout?: InputLayout | undefined;
  /**
   * With inputLayout 'channels-last' an original of rank 2 is (P, C), of rank 3 (B, P, C), and from rank 4 on (..., H, W, C). 'flat'
   * makes any rank (..., P, C).
   */
  pixels?: 'flat' | undefined;
  /** Also return the weights of the tokens at each pixel. @default false */
  returnAttention?: boolean | undefined;
}

/** Options of one {@link TokenFuser.forward}. */
export interface TokenFuserForwardOptions extends TokenFuserSyncOptions, RequestOptions {}

/** The fused pixels, and the weights of the tokens at each pixel. */
export interface OutputAndAttention<D extends FloatDType = 'float32'> {
  /** The shape of the original. */
  output: Tensor<D>;
  /** (..., G, H, W), or (..., G, P) for flat pixels. From 0 to 1. */
  attention: Tensor<D>;
}

interface With {
  returnAttention: true;
}
interface Without {
  returnAttention?: false | undefined;
}

interface Config extends OfficialConfig {
  dim: number;
  numTokens: number;
  bottleneckDim: number;
  useNormalization: boolean;
}

function checkConfig(given: Partial<Record<(typeof OPTIONS)[number], unknown>>): Config {
  return {
    dim: checkInteger('options.dim', given.dim, { min: 1 }),
    numTokens: checkInteger('options.numTokens', given.numTokens ?? 8, { min: 1 }),
    bottleneckDim: checkInteger('options.bottleneckDim', given.bottleneckDim ?? 64, { min: 1 }),
    useNormalization: checkBoolean('options.useNormalization', given.useNormalization ?? true),
    ...checkOfficial(given),
  };
}

function parameterSpecs({ dim, numTokens, bottleneckDim, useNormalization }: Config): ParameterSpec[] {
  const sizes: Readonly<Record<string, number>> = { C: dim, G: numTokens, "G'": numTokens, D: bottleneckDim };
  const form = FORMS[useNormalization ? 'fuser' : 'fuser-plain'];
  const specs = Object.entries(form.parameters).map(([name, layout]) => ({
    name,
    shape: layout.split(' ').map((letter) => sizes[letter] ?? 1),
  }));
  for (const { shape } of specs) elementCount(shape, Float32Array.BYTES_PER_ELEMENT);
  return specs;
}

/** Returns a TokenFuser's configuration. It is also the guard of the getters. Throws ERR_INVALID_THIS or ERR_DISPOSED. */
let settings: (self: unknown) => Config;

/**
 * TokenFuser, the official one: it brings tokens back to the pixels of the image that they were made of (Ryoo et al., "TokenLearner:
 * What Can 8 Learned Tokens Do for Images and Videos?", 2021; google-research/scenic). For tokens t of shape `(..., C, G)` and an
 * original o of shape `(..., C, H, W)`:
 *
 * ```text
 * T[h,c] = LayerNorm2(sum_g M[h,g] * LayerNorm1(t)[g,c] + m[h])
 * Q[g,p] = sigmoid(gelu(LayerNorm(o)[p] W0 + b0) W1 + b1)[g]
 * y[c,p] = sum_g Q[g,p] * T[g,c]
 * ```
 *
 * There is no residual inside: add the original to the result, as in the example. `outputShape` takes and returns the original's
 * shape. With two inputs it is no step of a Sequential, and a Batcher refuses it.
 *
 * Parameters: norm1.weight, norm1.bias, norm2.weight, norm2.bias (C), unless `useNormalization` is false; mix.weight (G, G), mix.bias
 * (G), zeros at first; norm.weight, norm.bias (C); mlp.0.weight (D, C), mlp.0.bias (D); mlp.2.weight (G, D), mlp.2.bias (G).
 *
 * @example
 * ```ts
 * import { Tensor, TokenFuser, TokenLearnerV11 } from 'tokenlearner';
 *
 * const learner = new TokenLearnerV11({ dim: 64 });
 * const fuser = new TokenFuser({ dim: 64 });
 * const x = Tensor.randn([2, 64, 14, 14]);
 * const tokens = await learner.forward(x); // a transformer's block would work on these
 * const fused = await fuser.forward(tokens, x);
 * console.log(fused.shape); // [ 2, 64, 14, 14 ]
 * ```
 */
export class TokenFuser extends LeafModule {
  readonly #config: Config;

  static {
    settings = (self) => {
      assertUsable(self, TokenFuser);
      return self.#config;
    };
    registerClass('TokenFuser', this, ([options]) => new TokenFuser(options as TokenFuserOptions));
  }

  /**
   * @throws TokenLearnerError ERR_INVALID_ARG_TYPE (also for a missing `dim`), ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE,
   * ERR_CUDA_UNAVAILABLE, ERR_ENGINE_UNSUPPORTED, ERR_OUT_OF_MEMORY; ERR_LIBTORCH_* if libtorch does not load.
   */
  constructor(options: TokenFuserOptions) {
    const given = checkOptions('options', options, OPTIONS);
    const config = checkConfig(given);
    const specs = parameterSpecs(config);
    const placement = checkPlacement(given);
    super({
      kind: 'token-fuser',
      libtorchUser: libtorchUser('TokenFuser', config.engine, placement.device),
      config: { ...config },
      arguments: [{ ...config, device: 'cpu' }],
      placement,
      parameters: specs,
      initial: () => specs.map((spec) => officialInitial(spec, placement.dtype)),
      outputShape: (original, how) => {
        leadingOf(original, config.dim, orderOf(how));
        return original;
      },
      repr: repr(config),
    });
    this.#config = config;
  }

  /**
   * Creates a TokenFuser with the weights of a state dict: this package's own names, flax's with any prefix, and those of the PyTorch
   * ports. Their names and shapes determine dim, numTokens, bottleneckDim and useNormalization. `eps` and `approximate` are not in a
   * file. Called on a subclass it creates one of that; the subclass's constructor then takes the same options.
   *
   * @param options - the other options; `dtype` defaults to the weights' dtype.
   * @throws TokenLearnerError ERR_STATE_DICT if these are not the weights of one TokenFuser; the message names the option to give if
   * there are several.
   *
   * @example
   * ```ts
   * import { TokenFuser } from 'tokenlearner';
   *
   * const dict = new TokenFuser({ dim: 32, numTokens: 4, useNormalization: false }).stateDict();
   * const fuser = TokenFuser.fromStateDict(dict);
   * console.log(fuser.dim, fuser.numTokens, fuser.useNormalization); // 32 4 false
   * ```
   */
  static fromStateDict<M extends TokenFuser = TokenFuser>(
    this: new (options: TokenFuserOptions) => M,
    dict: StateDict | ReadonlyMap<string, AnyTensor>,
    options?: TokenFuserStateDictOptions,
  ): M {
    assertSubclass(this, TokenFuser);
    const { prefix, ...given } = checkOptions('options', options, ['prefix', ...REST]);
    const found = recogniseWeights(dict, { module: 'TokenFuser', variant: undefined, prefix });
    const all = { dtype: found.dtype, ...found.options, ...given };
    return withWeights(new this(all as unknown as TokenFuserOptions), found.weights);
  }

  /** C: the channels of the tokens and of the original. */
  get dim(): number {
    return settings(this).dim;
  }

  /** G: the tokens. */
  get numTokens(): number {
    return settings(this).numTokens;
  }

  /** D: the hidden units of the MLP on the original's pixels. */
  get bottleneckDim(): number {
    return settings(this).bottleneckDim;
  }

  /** Whether the tokens are normalised, before and after they are mixed. */
  get useNormalization(): boolean {
    return settings(this).useNormalization;
  }

  /** The number that each LayerNorm adds to the variance. */
  get eps(): number {
    return settings(this).eps;
  }

  /** GELU's form. */
  get approximate(): 'tanh' | 'none' {
    return settings(this).approximate;
  }

  /**
   * Runs on the device's executor thread and does not block the event loop. Any number of calls may be in progress. On the CPU, work of
   * about ten microseconds runs during the call itself. Inputs in native memory are used in place; inputs in JavaScript's memory are
   * copied during the call.
   *
   * @param tokens - shape (..., C, G), or as `layout` says: what a TokenLearner returns, or what a block made of that.
   * @param original - shape (..., C, H, W), or as `inputLayout` says, with the leading dimensions of the tokens.
   * @returns a tensor of the original's shape and layout, on the tokens' device; with `returnAttention` also the weights.
   * @throws TokenLearnerError (as a rejection) ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_DISPOSED, ERR_DETACHED,
   * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY, ERR_QUEUE_FULL, ERR_TIMEOUT, ERR_DEVICE_LOST,
   * ERR_CLOSED; the signal's reason.
   */
  override async forward<D extends FloatDType>(
    tokens: Tensor<D>,
    original: Tensor<D>,
    options: TokenFuserForwardOptions & With,
  ): Promise<OutputAndAttention<D>>;
  override async forward<D extends FloatDType>(
    tokens: Tensor<D>,
    original: Tensor<D>,
    options?: TokenFuserForwardOptions & Without,
  ): Promise<Tensor<D>>;
  override async forward<D extends FloatDType>(
    tokens: Tensor<D>,
    original: Tensor<D>,
    options?: TokenFuserForwardOptions,
  ): Promise<Tensor<D> | OutputAndAttention<D>>;
  override async forward<D extends FloatDType>(
    tokens: Tensor<D>,
    original: Tensor<D>,
    options?: TokenFuserForwardOptions,
  ): Promise<Tensor<D> | OutputAndAttention<D>> {
    assertUsable(this, TokenFuser);
    const { how, control } = checkForward(original, options, 'flat-below-4', REQUEST_OPTIONS, 'original');
    const layer = layerOf(this);
    const check = (): TensorArg[] => checkInputs(layer, settings(this), tokens, original, how);
    return results(await submitAll<D>(layer, check, how, control));
  }

  /** Computes the same numbers as {@link forward} on the calling thread, and blocks it. Uses JavaScript's memory in place. */
  override forwardSync<D extends FloatDType>(
    tokens: Tensor<D>,
    original: Tensor<D>,
    options: TokenFuserSyncOptions & With,
  ): OutputAndAttention<D>;
  override forwardSync<D extends FloatDType>(
    tokens: Tensor<D>,
    original: Tensor<D>,
    options?: TokenFuserSyncOptions & Without,
  ): Tensor<D>;
  override forwardSync<D extends FloatDType>(
    tokens: Tensor<D>,
    original: Tensor<D>,
    options?: TokenFuserSyncOptions,
  ): Tensor<D> | OutputAndAttention<D>;
  override forwardSync<D extends FloatDType>(
    tokens: Tensor<D>,
    original: Tensor<D>,
    options?: TokenFuserSyncOptions,
  ): Tensor<D> | OutputAndAttention<D> {
    assertUsable(this, TokenFuser);
    const { how } = checkForward(original, options, 'flat-below-4', [], 'original');
    const layer = layerOf(this);
    const inputs = checkInputs(layer, settings(this), tokens, original, how);
    return results(adopted<D>(binding().forwardSync(layer.handle.id, how, ...inputs.flatMap(flattened))));
  }
}

/** Throws ERR_INVALID_ARG_TYPE, ERR_DISPOSED, ERR_DETACHED, ERR_DTYPE_MISMATCH, ERR_SHAPE_MISMATCH. */
function checkInputs(
  layer: Runnable,
  { dim, numTokens }: Config,
  tokens: unknown,
  original: unknown,
  how: CallOptions | undefined,
): TensorArg[] {
  const first = checkInputDType(layer, 'tokens', tokens);
  const second = checkInputDType(layer, 'original', original);
  const own = how?.tokensFirst === true ? [numTokens, dim] : [dim, numTokens];
  const expected = [...leadingOf(second.shape, dim, orderOf(how)), ...own];
  const fits = first.shape.length === expected.length && expected.every((size, i) => size === first.shape[i]);
  if (fits) return [first, second];
  throw new TokenLearnerError(
    'ERR_SHAPE_MISMATCH',
    `Expected tokens of shape ${formatShape(expected)} for an original of shape ${formatShape(second.shape)} but received ${formatShape(first.shape)}`,
  );
}

/** Native code returns the weights only if the caller asked for them. */
function results<D extends FloatDType>([output, attention]: Outputs<D>): Tensor<D> | OutputAndAttention<D> {
  return attention === undefined ? output : { output, attention };
}

function repr({ dim, numTokens, bottleneckDim, useNormalization, eps, approximate }: Config): string {
  const linear = (inputs: number, outputs: number): string =>
    `Linear(in_features=${inputs}, out_features=${outputs}, bias=True)`;
  return [
    'TokenFuser(',
    ...(useNormalization ? [normLine('norm1', dim, eps), normLine('norm2', dim, eps)] : []),
    `  (mix): ${linear(numTokens, numTokens)}`,
    normLine('norm', dim, eps),
    ...sequentialLines('mlp', [
      linear(dim, bottleneckDim),
      `GELU(approximate='${approximate}')`,
      linear(bottleneckDim, numTokens),
    ]),
    ')',
  ].join('\n');
}
