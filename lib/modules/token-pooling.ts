import type { FloatDType } from '../dtype';
import type { Tensor } from '../tensor/tensor';
import {
  checkForward,
  type FlatRule,
  type InputLayout,
  type Layout,
  leadingOf,
  orderOf,
} from './image-order';
import { LeafModule } from './leaf';
import type { LayerDefinition } from './native';
import { markBuiltIn } from './plan';
import { REQUEST_OPTIONS, type RequestOptions } from './request';
import { type Outputs, runSync, submit } from './run';
import { assertUsable, demandState, layerOf } from './state';

/** Options of one {@link TokenPooling.forwardSync}. */
export interface TokenLearnerSyncOptions {
  /** The order of the tokens' dimensions. @default 'channels-first' */
  layout?: Layout | undefined;
  /** The order of the input's dimensions. 'channels-last' is read as it is, without a copy. @default 'channels-first' */
  inputLayout?: InputLayout | undefined;
  /** Also return the attention maps. @default false */
  returnAttention?: boolean | undefined;
}

/** Options of one {@link TokenPooling.forward}. */
export interface TokenLearnerForwardOptions extends TokenLearnerSyncOptions, RequestOptions {}

/** Tokens, and the attention maps that pooled them. */
export interface TokensAndAttention<D extends FloatDType = 'float32'> {
  /** (..., C, G), or (..., G, C) for layout 'tokens-first'. */
  tokens: Tensor<D>;
  /** (..., G, H, W), or (..., G, P) for flat pixels. A TokenLearner's are not normalised. */
  attention: Tensor<D>;
}

interface With {
  returnAttention: true;
}
interface Without {
  returnAttention?: false | undefined;
}

/**
 * The base of the layers that pool an image's pixels to tokens: {@link TokenLearner}, {@link TokenLearnerV10} and {@link TokenLearnerV11}. `S` and `F` are
 * the options of their forwards.
 *
 * @example
 * ```ts
 * import { Tensor, TokenLearner, TokenLearnerV11, type TokenPooling } from 'tokenlearner';
 *
 * const learners: TokenPooling[] = [new TokenLearner({ dim: 32 }), new TokenLearnerV11({ dim: 32 })];
 * const x = Tensor.randn([1, 14, 14, 32]);
 * for (const learner of learners) {
 *   const tokens = await learner.forward(x, { inputLayout: 'channels-last', layout: 'tokens-first' });
 *   console.log(tokens.shape); // [ 1, 8, 32 ]
 * }
 * ```
 */
export abstract class TokenPooling<
  S extends TokenLearnerSyncOptions = TokenLearnerSyncOptions,
  F extends S & RequestOptions = S & RequestOptions,
> extends LeafModule {
  readonly #rule: FlatRule;

  static {
    markBuiltIn(this);
  }

  protected constructor(
    definition: Omit<LayerDefinition, 'outputShape'>,
    { dim, numOutputTokens }: { dim: number; numOutputTokens: number },
    rule: FlatRule,
  ) {
    super({
      ...definition,
      outputShape: (input, how) => [...leadingOf(input, dim, orderOf(how)), dim, numOutputTokens],
    });
    this.#rule = rule;
    demandState(this).forwardCall = (input, options, allowed) => {
      const { how, control } = checkForward(input, options, rule, allowed);
      return { how, control, results };
    };
  }

  /** C: the channels of the input. */
  abstract get dim(): number;

  /** G: the tokens of the output. */
  abstract get numOutputTokens(): number;

  /**
   * Runs on the device's executor thread and does not block the event loop. Any number of calls may be in progress. On the CPU,
   * work of about ten microseconds runs during the call itself, since the way to that thread and back takes longer. Input in
   * native memory is used in place; input in JavaScript's memory is copied during the call. The results are on the input's
   * device.
   *
   * @param input - shape (..., C, H, W), or as `inputLayout` says; the module's dtype, any strides.
   * @returns the tokens, (..., C, G); with `returnAttention` the tokens and the maps.
   * @throws TokenLearnerError (as a rejection) ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH, ERR_DISPOSED, ERR_DETACHED,
   * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_OUT_OF_MEMORY, ERR_QUEUE_FULL, ERR_TIMEOUT, ERR_DEVICE_LOST,
   * ERR_CLOSED; the signal's reason.
   */
  override async forward<D extends FloatDType>(
    input: Tensor<D>,
    options: F & With,
  ): Promise<TokensAndAttention<D>>;
  override async forward<D extends FloatDType>(input: Tensor<D>, options?: F & Without): Promise<Tensor<D>>;
  override async forward<D extends FloatDType>(
    input: Tensor<D>,
    options?: F,
  ): Promise<Tensor<D> | TokensAndAttention<D>>;
  override async forward<D extends FloatDType>(
    input: Tensor<D>,
    options?: F,
  ): Promise<Tensor<D> | TokensAndAttention<D>> {
    assertUsable(this, TokenPooling);
    const { how, control } = checkForward(input, options, this.#rule, REQUEST_OPTIONS);
    return results(await submit(layerOf(this), input, how, control));
  }

  /** Computes the same numbers as {@link forward} on the calling thread, and blocks it. Uses JavaScript's memory in place. */
  override forwardSync<D extends FloatDType>(input: Tensor<D>, options: S & With): TokensAndAttention<D>;
  override forwardSync<D extends FloatDType>(input: Tensor<D>, options?: S & Without): Tensor<D>;
  override forwardSync<D extends FloatDType>(
    input: Tensor<D>,
    options?: S,
  ): Tensor<D> | TokensAndAttention<D>;
  override forwardSync<D extends FloatDType>(
    input: Tensor<D>,
    options?: S,
  ): Tensor<D> | TokensAndAttention<D> {
    assertUsable(this, TokenPooling);
    return results(runSync(layerOf(this), input, checkForward(input, options, this.#rule, []).how));
  }
}

/** Native code returns the maps only if the caller asked for them. */
function results<D extends FloatDType>([tokens, attention]: Outputs<D>): Tensor<D> | TokensAndAttention<D> {
  return attention === undefined ? tokens : { tokens, attention };
}
