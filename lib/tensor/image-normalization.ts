/** The normalisation and the layout of pictures, which both directions share. */
import { TokenLearnerError } from '../errors';
import { checkNumber, checkOneOf, unexpected } from '../validate';

/** Where the channels of a picture's tensor are: (N, C, H, W), or (N, H, W, C). */
export type ImageLayout = 'channels-first' | 'channels-last';

/** The mean and the standard deviation of a normalisation, as of torchvision's Normalize. Give both or neither. */
export interface NormalizeOptions {
  /** Of each channel, or one number for all. On the scale from 0 to 1. @default no normalisation */
  mean?: number | readonly number[] | undefined;
  /** Of each channel, or one number for all. Not 0. On the scale from 0 to 1. @default no normalisation */
  std?: number | readonly number[] | undefined;
}

/**
 * Means and standard deviations by the data that a model was trained on, for the `mean` and `std` of pictures.
 *
 * @example
 * ```ts
 * import { presets, Tensor } from 'tokenlearner';
 *
 * const picture = { data: new Uint8Array(4 * 4 * 3), width: 4, height: 4, channels: 3 } as const;
 * const x = await Tensor.fromImage(picture, presets.imagenet);
 * console.log(x.shape); // [ 1, 3, 4, 4 ]
 * ```
 */
export const presets = Object.freeze({
  /** ImageNet's, which torchvision's and timm's pretrained models use. */
  imagenet: Object.freeze({
    /** Of red, green and blue, on the scale from 0 to 1. */
    mean: Object.freeze<number[]>([0.485, 0.456, 0.406]),
    /** Of red, green and blue, on the scale from 0 to 1. */
    std: Object.freeze<number[]>([0.229, 0.224, 0.225]),
  }),
});

const LAYOUTS: readonly ImageLayout[] = ['channels-first', 'channels-last'];

/** Checks the option `layout`. Throws ERR_INVALID_ARG_TYPE or ERR_INVALID_ARG_VALUE. */
export function checkLayout(layout: unknown): ImageLayout {
  return checkOneOf('options.layout', layout ?? 'channels-first', LAYOUTS);
}

/** A checked normalisation. A lone number is that of every colour. */
export interface Statistics {
  mean: number | number[];
  std: number | number[];
}

/** Checks the options `mean` and `std`. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE. */
export function checkStatistics(mean: unknown, std: unknown): Statistics | undefined {
  if (mean === undefined && std === undefined) return undefined;
  if (mean === undefined || std === undefined) {
    throw new TokenLearnerError(
      'ERR_INVALID_ARG_VALUE',
      `Expected both \`options.mean\` and \`options.std\`, or neither, but received no \`${mean === undefined ? 'mean' : 'std'}\``,
    );
  }
  return {
    mean: eachOf('options.mean', mean, 'a finite float32', Number.isFinite),
    std: eachOf('options.std', std, 'a finite float32 other than 0', (x) => Number.isFinite(x) && x !== 0),
  };
}

/** Checks a number or an array of numbers, each as float32. */
function eachOf(
  name: string,
  value: unknown,
  expected: string,
  accepts: (rounded: number) => boolean,
): number | number[] {
  const check = (at: string, item: unknown): number => {
    const number = checkNumber(at, item);
    if (!accepts(Math.fround(number))) throw unexpected('ERR_OUT_OF_RANGE', at, expected, item);
    return number;
  };
  if (typeof value === 'number') return check(name, value);
  if (!Array.isArray(value))
    throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a number or an array of numbers', value);
  return Array.from({ length: value.length }, (_, i) => check(`${name}[${i}]`, value[i]));
}

/** The means, then the standard deviations, one of each for every colour; empty for none. Throws ERR_SHAPE_MISMATCH. */
export function normalization(statistics: Statistics | undefined, colors: number): Float32Array {
  const values = new Float32Array(statistics === undefined ? 0 : 2 * colors);
  if (statistics === undefined) return values;
  for (const [i, name] of (['mean', 'std'] as const).entries()) {
    const given = statistics[name];
    if (typeof given !== 'number' && given.length !== colors) {
      throw new TokenLearnerError(
        'ERR_SHAPE_MISMATCH',
        `Expected one number or ${colors}, the colours of the picture, in \`options.${name}\` but received ${given.length}`,
      );
    }
    for (let c = 0; c < colors; c++)
      values[i * colors + c] = typeof given === 'number' ? given : (given[c] ?? 0);
  }
  return values;
}
