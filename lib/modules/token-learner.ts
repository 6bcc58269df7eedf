import type { Device } from '../device';
import { TokenLearnerError } from '../errors';
import { weightAndBias } from '../init';
import { elementCount, formatShape } from '../shape';
import type { AnyTensor, Tensor } from '../tensor/tensor';
import {
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkOptions,
  describe,
  type IntegerRange,
} from '../validate';
import { registerClass } from './classes';
import { inferConfig } from './infer-config';
import { checkPlacement, LeafModule, PLACEMENT_OPTIONS, type PlacementOptions } from './leaf';
import type { FloatDType } from '../dtype';
import type { ParameterSpec } from './native';
import { markBuiltIn } from './plan';
import { checkRequest, REQUEST_OPTIONS, type RequestOptions } from './request';
import { runSync, submit } from './run';
import { assertUsable, demandState, type ForwardCall, layerOf } from './state';
import type { StateDict } from './state-dict';

const ENGINES = ['auto', 'fused', 'grouped-conv'] as const;
// Sanity limits; larger values are almost certainly typos.
const MOST_LAYERS = 1000;
const MOST_THREADS = 4096;
const LAYOUTS = ['channels-first', 'tokens-first'] as const;
// The options that a state dict does not determine.
const REST = ['engine', 'intraOpThreads', 'allowTf32', ...PLACEMENT_OPTIONS] as const;
const OPTIONS = ['dim', 'ffMult', 'numOutputTokens', 'numLayers', ...REST] as const;

/**
 * The way a TokenLearner computes. 'grouped-conv' is the documented computation on libtorch's grouped convolutions. 'fused'
 * never stores the repeated input or a whole hidden layer. On the CPU it can always run, on CUDA with `numLayers` 2. 'auto' is
 * 'fused' if that can run, and 'grouped-conv' otherwise.
 */
export type Engine = (typeof ENGINES)[number];

/** The order of the output's dimensions: (..., C, G), as in the PyTorch class, or (..., G, C). */
export type Layout = (typeof LAYOUTS)[number];

export interface TokenLearnerOptions extends PlacementOptions {
  /** C: the channels of the input. At least 1. Required. */
  dim: number;
  /** The hidden layer has ffMult * dim channels per token. At least 1. @default 2 */
  ffMult?: number;
  /** G: the tokens of the output. At least 1. @default 8 */
  numOutputTokens?: number;
  /**
   * The number of grouped convolutions. 1 is a single one, from C channels to 1. 2 is the paper's number. More add hidden ones,
   * with a GELU after each. The Python class accepts this option but ignores it: it always has 2. From 1 to 1000. @default 2
   */
  numLayers?: number;
  /** @default 'auto' */
  engine?: Engine;
  /** The most threads that one forward of the fused CPU engine uses, from 0 to 4096; 0 means all. @default 0 */
  intraOpThreads?: number;
  /**
   * Lets products in float32 on CUDA round their operands to TF32, as PyTorch's convolutions do by default. This is faster, with
   * errors of about 1e-3. @default false
   */
  allowTf32?: boolean;
}

/** Options of one {@link TokenLearner.forwardSync}. */
export interface TokenLearnerSyncOptions {
  /** @default 'channels-first' */
  layout?: Layout;
  /** Also return the attention maps. @default false */
  returnAttention?: boolean;
}

/** Options of one {@link TokenLearner.forward}. */
export interface TokenLearnerForwardOptions extends TokenLearnerSyncOptions, RequestOptions {}

/** Tokens, and the attention maps that pooled them. */
export interface TokensAndAttention<D extends FloatDType = 'float32'> {
  /** (..., C, G), or (..., G, C) for layout 'tokens-first'. */
  tokens: Tensor<D>;
  /** (..., G, H, W); not normalised. */
  attention: Tensor<D>;
}

interface With {
  returnAttention: true;
}
interface Without {
  returnAttention?: false;
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
    name: Exclude<keyof Config, 'engine' | 'allowTf32'>,
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
    intraOpThreads: integer('intraOpThreads', 0, { min: 0, max: MOST_THREADS }),
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

/** The fused CPU engine needs no libtorch. */
function libtorchUser({ engine }: Config, device: Device): string | null {
  if (engine === 'grouped-conv') return "Engine 'grouped-conv'";
  return device === 'cpu' ? null : `A TokenLearner on '${device}'`;
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
export class TokenLearner extends LeafModule {
  readonly #config: Config;

  static {
    settings = (self) => {
      assertUsable(self, TokenLearner);
      return self.#config;
    };
    markBuiltIn(this);
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
    super({
      kind: 'token-learner',
      libtorchUser: libtorchUser(config, placement.device),
      config: { ...config },
      arguments: [{ ...config, device: 'cpu' }],
      placement,
      parameters: specs,
      initial: () =>
        specs
          .filter((_, i) => i % 2 === 0)
          .flatMap(({ shape }) => weightAndBias(shape, true, placement.dtype)),
      outputShape: (input) => outputShape(input, config),
      repr: repr(config),
    });
    this.#config = config;
    demandState(this).forwardCall = checkForward;
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
    assertLearnerClass(this);
    const given = checkOptions('options', options, REST);
    const { dtype, ...shape } = inferConfig(dict);
    const model = new this({ ...shape, dtype, ...given } as TokenLearnerOptions);
    try {
      model.loadStateDict(dict);
      return model;
    } catch (error) {
      model.dispose();
      throw error;
    }
  }

  /** C: the channels of the input. */
  get dim(): number {
    return settings(this).dim;
  }

  /** The hidden layer has ffMult * dim channels per token. */
  get ffMult(): number {
    return settings(this).ffMult;
  }

  /** G: the tokens of the output. */
  get numOutputTokens(): number {
    return settings(this).numOutputTokens;
  }

  /** The number of grouped convolutions. */
  get numLayers(): number {
    return settings(this).numLayers;
  }

  /**
   * Runs on the device's executor thread and does not block the event loop. Any number of calls may be in progress. On the CPU,
   * work of about ten microseconds runs during the call itself, since the way to that thread and back takes longer. Input in
   * native memory is used in place; input in JavaScript's memory is copied during the call. The results are on the input's
   * device.
   *
   * @param input - shape (..., C, H, W), the module's dtype, any strides.
   * @returns the tokens, (..., C, G); with `returnAttention` the tokens and the maps.
   * @throws TokenLearnerError (as a rejection) ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_DISPOSED, ERR_DETACHED,
   * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY, ERR_QUEUE_FULL, ERR_TIMEOUT, ERR_DEVICE_LOST,
   * ERR_CLOSED; the signal's reason.
   */
  override async forward<D extends FloatDType>(
    input: Tensor<D>,
    options: TokenLearnerForwardOptions & With,
  ): Promise<TokensAndAttention<D>>;
  override async forward<D extends FloatDType>(
    input: Tensor<D>,
    options?: TokenLearnerForwardOptions & Without,
  ): Promise<Tensor<D>>;
  override async forward<D extends FloatDType>(
    input: Tensor<D>,
    options?: TokenLearnerForwardOptions,
  ): Promise<Tensor<D> | TokensAndAttention<D>>;
  override async forward<D extends FloatDType>(
    input: Tensor<D>,
    options?: TokenLearnerForwardOptions,
  ): Promise<Tensor<D> | TokensAndAttention<D>> {
    assertUsable(this, TokenLearner);
    const { how, control } = checkForward(options, REQUEST_OPTIONS);
    return results(await submit(layerOf(this), input, how, control));
  }

  /** Computes the same numbers as {@link forward} on the calling thread, and blocks it. Uses JavaScript's memory in place. */
  override forwardSync<D extends FloatDType>(
    input: Tensor<D>,
    options: TokenLearnerSyncOptions & With,
  ): TokensAndAttention<D>;
  override forwardSync<D extends FloatDType>(
    input: Tensor<D>,
    options?: TokenLearnerSyncOptions & Without,
  ): Tensor<D>;
  override forwardSync<D extends FloatDType>(
    input: Tensor<D>,
    options?: TokenLearnerSyncOptions,
  ): Tensor<D> | TokensAndAttention<D>;
  override forwardSync<D extends FloatDType>(
    input: Tensor<D>,
    options?: TokenLearnerSyncOptions,
  ): Tensor<D> | TokensAndAttention<D> {
    assertUsable(this, TokenLearner);
    return results(runSync(layerOf(this), input, checkForward(options, []).how));
  }
}

/** The guard of static methods. Throws ERR_INVALID_THIS. */
function assertLearnerClass(Class: unknown): void {
  if (Class === TokenLearner || Object.prototype.isPrototypeOf.call(TokenLearner, Object(Class) as object))
    return;
  throw new TokenLearnerError(
    'ERR_INVALID_THIS',
    `Expected \`this\` to be TokenLearner or a subclass but received ${describe(Class)}`,
  );
}

function outputShape(input: readonly number[], { dim, numOutputTokens }: Config): number[] {
  const expected = `(..., ${dim}, H, W)`;
  const fail = (what: string): TokenLearnerError => new TokenLearnerError('ERR_SHAPE_MISMATCH', what);
  if (input.length < 3) {
    throw fail(
      `Expected an input of shape ${expected}, at least 3 dimensions, but received ${formatShape(input)}`,
    );
  }
  const [channels, height, width] = input.slice(-3);
  if (channels !== dim) {
    throw fail(
      `Expected ${dim} channels, an input of shape ${expected}, but received ${String(channels)} channels in ${formatShape(input)}`,
    );
  }
  if (height === 0 || width === 0) {
    throw fail(
      `Expected an input of shape ${expected} with at least one pixel but received ${formatShape(input)}`,
    );
  }
  return [...input.slice(0, -3), dim, numOutputTokens];
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

function checkForward(options: unknown, allowed: readonly string[]): ForwardCall {
  const given = checkOptions('options', options, ['layout', 'returnAttention', ...allowed]) as Record<
    string,
    unknown
  >;
  const { layout, returnAttention } = given;
  const wantsMaps = returnAttention !== undefined && checkBoolean('options.returnAttention', returnAttention);
  const tokensFirst =
    layout !== undefined && checkOneOf('options.layout', layout, LAYOUTS) === 'tokens-first';
  const how = wantsMaps || tokensFirst ? { returnAttention: wantsMaps, tokensFirst } : undefined;
  return { how, control: checkRequest(given), results };
}

/** Native code returns the maps only if the caller asked for them. */
function results<D extends FloatDType>([tokens, attention]: [Tensor<D>, ...Tensor<D>[]]):
  Tensor<D> | TokensAndAttention<D> {
  return attention === undefined ? tokens : { tokens, attention };
}
