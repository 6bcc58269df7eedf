/** Where the channels and the pixels of a layer's input are, and the options of a forward that say it. */
import { TokenLearnerError } from '../errors';
import type { CallOptions } from '../native-interface';
import { formatShape } from '../shape';
import { tensorArgument } from '../tensor/tensor';
import { checkBoolean, checkOneOf, checkOptions } from '../validate';
import { checkRequest } from './request';
import type { ForwardCall } from './state';

const LAYOUTS = ['channels-first', 'tokens-first'] as const;
const INPUT_LAYOUTS = ['channels-first', 'channels-last'] as const;
const PIXELS = ['flat'] as const;

/** The order of the output's dimensions: (..., C, G), as in the PyTorch class, or (..., G, C). */
export type Layout = (typeof LAYOUTS)[number];

/** The order of the input's dimensions: (..., C, H, W), or (..., H, W, C). */
export type InputLayout = (typeof INPUT_LAYOUTS)[number];

/** The native form of an input's order. */
export interface ImageOrder {
  channelsLast: boolean;
  /** One dimension of pixels, (..., P, C). */
  flat: boolean;
}

/** The order that a call has. */
export function orderOf(how: CallOptions | undefined): ImageOrder {
  return { channelsLast: how?.channelsLast === true, flat: how?.flat === true };
}

function expectedShape(dim: number, { channelsLast, flat }: ImageOrder): string {
  if (!channelsLast) return `(..., ${dim}, H, W)`;
  return flat ? `(..., P, ${dim})` : `(..., H, W, ${dim})`;
}

/** Returns the leading dimensions of an input. Throws ERR_SHAPE_MISMATCH if it is no image with `dim` channels, or has no pixel. */
export function leadingOf(input: readonly number[], dim: number, order: ImageOrder): number[] {
  const { channelsLast, flat } = order;
  const leading = input.length - (flat ? 2 : 3);
  const channels = channelsLast ? input.length - 1 : leading;
  if (leading < 0 || input[channels] !== dim) throw mismatch(input, dim, order);
  for (let i = leading; i < input.length; i++) {
    if (i !== channels && input[i] === 0) throw mismatch(input, dim, order);
  }
  // slice() of a frozen array takes ten times as long as that of its copy.
  return [...input].slice(0, leading);
}

function mismatch(input: readonly number[], dim: number, order: ImageOrder): TokenLearnerError {
  const expected = expectedShape(dim, order);
  const rank = order.flat ? 2 : 3;
  const received = formatShape(input);
  const channels = input.at(order.channelsLast ? -1 : -rank);
  const what =
    input.length < rank
      ? `an input of shape ${expected}, at least ${rank} dimensions, but received ${received}`
      : channels === dim
        ? `an input of shape ${expected} with at least one pixel but received ${received}`
        : `${dim} channels, an input of shape ${expected}, but received ${String(channels)} channels in ${received}`;
  return new TokenLearnerError('ERR_SHAPE_MISMATCH', `Expected ${what}`);
}

/** What a layer's channels-last inputs of few dimensions are: always (..., H, W, C), or flat below rank 4. */
export type FlatRule = 'grid' | 'flat-below-4';

/** The call without options. */
const DEFAULTS = Object.freeze({ how: undefined, control: checkRequest({}) });

/** Checks the options of a forward of a layer that pools tokens. `allowed` are its request options, `name` is the input's. */
export function checkForward(
  input: unknown,
  options: unknown,
  rule: FlatRule,
  allowed: readonly string[],
  name = 'input',
): Omit<ForwardCall, 'results'> {
  if (options === undefined) return DEFAULTS;
  const own = ['layout', 'inputLayout', 'returnAttention', ...(rule === 'grid' ? [] : ['pixels'])];
  const given: Record<string, unknown> = checkOptions('options', options, [...own, ...allowed]);
  const { layout, inputLayout, returnAttention, pixels } = given;
  const wantsMaps = returnAttention !== undefined && checkBoolean('options.returnAttention', returnAttention);
  const tokensFirst =
    layout !== undefined && checkOneOf('options.layout', layout, LAYOUTS) === 'tokens-first';
  const order = checkOrder(name, input, inputLayout, pixels, rule);
  const control = checkRequest(given);
  if (!wantsMaps && !tokensFirst && !order.channelsLast) return { how: undefined, control };
  return { how: { returnAttention: wantsMaps, tokensFirst, ...order }, control };
}

function checkOrder(
  name: string,
  input: unknown,
  inputLayout: unknown,
  pixels: unknown,
  rule: FlatRule,
): ImageOrder {
  const channelsLast =
    inputLayout !== undefined &&
    checkOneOf('options.inputLayout', inputLayout, INPUT_LAYOUTS) === 'channels-last';
  const isFlat = pixels !== undefined;
  if (isFlat) checkOneOf('options.pixels', pixels, PIXELS);
  if (isFlat && !channelsLast) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      "Expected inputLayout 'channels-last' with `options.pixels` but received 'channels-first': flat pixels are (..., P, C)",
    );
  }
  if (!channelsLast || rule === 'grid') return { channelsLast, flat: false };
  return { channelsLast, flat: isFlat || tensorArgument(name, input).shape.length < 4 };
}
