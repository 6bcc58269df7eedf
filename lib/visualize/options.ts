/** The options of `visualize`: checks, and what is chosen where nothing is given. */
import type { DType } from '../dtype';
import { TokenLearnerError } from '../errors';
import type { FileInput } from '../formats/input';
import { checkRequest, REQUEST_OPTIONS, type RequestOptions } from '../modules/request';
import type { FromImageOptions } from '../tensor/image';
import { checkSize } from '../tensor/image-geometry';
import type { ImageInput } from '../tensor/image-input';
import { checkStatistics } from '../tensor/image-normalization';
import { checkTensor, tensorState } from '../tensor/access';
import type { AnyTensor } from '../tensor/tensor';
import {
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkString,
  unexpected,
} from '../validate';
import { type Colormap, COLORMAPS } from './colormap';

/**
 * A picture: a file that sharp can decode (by its path, file URL, bytes, Blob or stream), or decoded pixels as `Tensor.fromImage` takes them.
 */
export type PictureSource = FileInput | ImageInput;

/** The part of a module that {@link visualize} uses: its `forward` gives the attention maps when it is asked for them. */
export interface AttentionModel {
  /** @returns at least `attention`, of shape (..., G, H, W). */
  // Each module has its own types of inputs and options.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  forward(input: any, options: any): Promise<any>;
  /** The dtype of its input. @default 'float32' */
  readonly dtype?: DType | undefined;
}

/** The part of a module that {@link visualize} uses as `backbone`. */
export interface BackboneModel {
  /** @returns the features, of shape (..., C, H, W). */
  // Each module has its own types of inputs.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  forward(input: any, ...options: any[]): Promise<any>;
  /** The dtype of its input. @default 'float32' */
  readonly dtype?: DType | undefined;
}

/** Options of {@link visualize}. */
export interface VisualizeOptions
  extends RequestOptions, Pick<FromImageOptions, 'resize' | 'interpolation' | 'crop' | 'mean' | 'std'> {
  /** A module that turns the input into the features that `model` takes. @default the model takes the input itself */
  backbone?: BackboneModel | undefined;
  /** Converts pictures to one channel, for models that take one. The maps then lie over the same grey picture. @default false */
  grayscale?: boolean | undefined;
  /** For tensors: what the maps are laid over. One picture for all, or one for each. @default the maps alone */
  picture?: PictureSource | readonly PictureSource[] | undefined;
  /** 'raw' is RGBA pixels and needs no sharp. @default 'png' */
  format?: VisualizeFormat | undefined;
  /** Shows several pictures one after the other instead of one below the other. Not for 'png'. @default true for 'gif' and 'webp' */
  animate?: boolean | undefined;
  /** Pictures a second of an animation, from 0.1 to 50. One picture is still, whatever it says. @default 4 */
  fps?: number | undefined;
  /** @default 'viridis' */
  colormap?: Colormap | undefined;
  /** Of the maps over the picture, from 0 to 1. @default 0.65 */
  opacity?: number | undefined;
  /**
   * The values of the first and the last colour. 'token': the least and the greatest value of each map (in an animation: of each token). 'shared': of
   * all maps. Two numbers: these; what lies outside gets the colour of the nearer one. @default 'token'
   */
  range?: 'token' | 'shared' | readonly [min: number, max: number] | undefined;
  /** The tokens to show, by index. @default all */
  tokens?: readonly number[] | undefined;
  /** The most tiles beside each other: the picture and the maps. @default what gives a sheet of pleasant proportions */
  columns?: number | undefined;
  /** The longer side of the picture and of each map, in pixels, from 32 to 4096; the shorter one has at least an eighth of it. @default 256, and 192 for several pictures */
  tileSize?: number | undefined;
  /** The colours around the pictures. 'auto' is transparent, with text that is readable on white and on black. @default 'light' */
  theme?: 'light' | 'dark' | 'auto' | undefined;
  /** A line above everything. @default none */
  title?: string | undefined;
  /** The text at each picture. @default its file's name, or its position */
  captions?: readonly string[] | undefined;
}

/** The forms of a result of {@link visualize}. */
export type VisualizeFormat = 'png' | 'webp' | 'gif' | 'raw';

const FORMATS = ['png', 'webp', 'gif', 'raw'] as const;
const THEMES = ['light', 'dark', 'auto'] as const;
const INPUT = ['resize', 'interpolation', 'crop', 'mean', 'std', 'grayscale'] as const;
const LOOK = [
  'colormap',
  'opacity',
  'range',
  'tokens',
  'columns',
  'tileSize',
  'theme',
  'title',
  'captions',
] as const;
const OPTIONS = [
  'backbone',
  ...INPUT,
  'picture',
  'format',
  'animate',
  'fps',
  ...LOOK,
  ...REQUEST_OPTIONS,
] as const;
const SLOWEST = 0.1;
const FASTEST = 50;
const DEFAULT_FPS = 4;
const DEFAULT_OPACITY = 0.65;
const TILE = { min: 32, max: 4096 };

type Given = Partial<Record<(typeof OPTIONS)[number], unknown>>;

/** How a picture becomes the model's input: options of `Tensor.fromImage`. */
export type InputOptions = Pick<FromImageOptions, (typeof INPUT)[number] & keyof FromImageOptions>;

/** The checked options. */
export interface Choice {
  backbone: BackboneModel | undefined;
  input: InputOptions;
  grayscale: boolean;
  /** The names of given options that only pictures as input have. */
  forPictures: string[];
  /** One for all, or one for each. */
  picture: PictureSource[] | undefined;
  format: VisualizeFormat;
  animate: boolean | undefined;
  fps: number | undefined;
  colormap: Colormap;
  opacity: number | undefined;
  range: 'token' | 'shared' | [number, number];
  tokens: number[] | undefined;
  columns: number | undefined;
  tileSize: number | undefined;
  theme: (typeof THEMES)[number];
  title: string | undefined;
  captions: string[] | undefined;
  control: RequestOptions;
}

function refuse(message: string): TokenLearnerError {
  return new TokenLearnerError('ERR_INVALID_ARG_VALUE', message);
}

/** Checks the options alone; those that the input must allow are checked with it. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE. */
export function checkVisualize(options: unknown): Choice {
  const given: Given = checkOptions('options', options, OPTIONS);
  const { backbone, animate, fps, tokens, columns, tileSize, title, captions } = given;
  const format = checkOneOf('options.format', given.format ?? 'png', FORMATS);
  if (backbone !== undefined) checkForward('options.backbone', backbone);
  const choice: Choice = {
    ...checkInputOptions(given),
    backbone: backbone as BackboneModel | undefined,
    picture:
      given.picture === undefined
        ? undefined
        : sourcesOf('options.picture', given.picture, 'pixels as `tensor.toImage()` gives them'),
    format,
    animate: animate === undefined ? undefined : checkBoolean('options.animate', animate),
    fps: fps === undefined ? undefined : between('options.fps', fps, SLOWEST, FASTEST),
    colormap: checkOneOf('options.colormap', given.colormap ?? 'viridis', COLORMAPS),
    opacity: given.opacity === undefined ? undefined : between('options.opacity', given.opacity, 0, 1),
    range: checkRange(given.range),
    tokens: tokens === undefined ? undefined : checkTokens(tokens),
    columns: columns === undefined ? undefined : checkInteger('options.columns', columns, { min: 1 }),
    tileSize: tileSize === undefined ? undefined : checkInteger('options.tileSize', tileSize, TILE),
    theme: checkOneOf('options.theme', given.theme ?? 'light', THEMES),
    title: title === undefined ? undefined : checkString('options.title', title),
    captions: captions === undefined ? undefined : checkStrings('options.captions', captions),
    control: checkRequest(given),
  };
  checkTogether(choice);
  return choice;
}

function checkTogether({ format, animate, theme }: Choice): void {
  if (animate === true && format === 'png')
    throw refuse("Expected `options.format` 'gif', 'webp' or 'raw' for an animation but received 'png'");
  if (theme === 'auto' && format === 'gif')
    throw refuse(
      "Expected `options.theme` 'light' or 'dark' for a GIF, whose pixels cannot be half transparent, but received 'auto'",
    );
}

function checkInputOptions(given: Given): Pick<Choice, 'input' | 'grayscale' | 'forPictures'> {
  const { resize, interpolation, crop, mean, std, grayscale } = given;
  if (resize !== undefined) checkSize('options.resize', resize);
  if (crop !== undefined) checkSize('options.crop', crop);
  checkStatistics(mean, std);
  const pairs = Object.entries({ resize, interpolation, crop, mean, std });
  return {
    input: Object.fromEntries(pairs.filter(([, value]) => value !== undefined)),
    grayscale: checkBoolean('options.grayscale', grayscale ?? false),
    forPictures: INPUT.filter((name) => given[name] !== undefined),
  };
}

function between(name: string, value: unknown, min: number, max: number): number {
  const number = checkNumber(name, value);
  if (number >= min && number <= max) return number;
  throw unexpected('ERR_OUT_OF_RANGE', name, `a number from ${min} to ${max}`, value);
}

function checkRange(range: unknown): Choice['range'] {
  if (range === undefined) return 'token';
  if (!Array.isArray(range)) return checkOneOf('options.range', range, ['token', 'shared'] as const);
  const [min, max] = [checkNumber('options.range[0]', range[0]), checkNumber('options.range[1]', range[1])];
  if (range.length === 2 && min < max && Number.isFinite(max - min)) return [min, max];
  throw unexpected(
    'ERR_OUT_OF_RANGE',
    'options.range',
    'two numbers at a finite distance, the lower first,',
    range,
  );
}

function checkList(name: string, value: unknown): unknown[] {
  if (!Array.isArray(value)) throw unexpected('ERR_INVALID_ARG_TYPE', name, 'an array', value);
  if (value.length === 0) throw unexpected('ERR_INVALID_ARG_VALUE', name, 'a non-empty array', value);
  return Array.from({ length: value.length }, (_, i): unknown => value[i]);
}

/** One picture or several. `instead`: what a caller of tensors may give. */
function sourcesOf(name: string, value: unknown, instead: string): PictureSource[] {
  const sources = Array.isArray(value) ? checkList(name, value) : [value];
  sources.forEach((each, i) => {
    if (tensorState(each) === undefined) return;
    const place = Array.isArray(value) ? `${name}[${i}]` : name;
    throw unexpected('ERR_INVALID_ARG_TYPE', place, `a picture, or ${instead},`, each);
  });
  return sources as PictureSource[];
}

function checkTokens(value: unknown): number[] {
  return checkList('options.tokens', value).map((each, i) =>
    checkInteger(`options.tokens[${i}]`, each, { min: 0 }),
  );
}

function checkStrings(name: string, value: unknown): string[] {
  return checkList(name, value).map((each, i) => checkString(`${name}[${i}]`, each));
}

/** Checks for an object with a `forward`. Throws ERR_INVALID_ARG_TYPE. */
export function checkForward(name: string, value: unknown): void {
  if (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<AttentionModel>).forward === 'function'
  )
    return;
  throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a module', value);
}

/** The options that depend on how many pictures there are, and if there is anything under the maps. */
export interface Settled {
  /** One page for each picture. */
  animated: boolean;
  /** Milliseconds. */
  delay: number;
  opacity: number;
}

/** The longer side of each tile. */
export function tileSizeFor({ tileSize }: Choice, pictures: number): number {
  return tileSize ?? (pictures > 1 ? 192 : 256);
}

/** Throws ERR_INVALID_ARG_VALUE for an option that does not apply. */
export function settle(choice: Choice, pictures: number, covered: boolean): Settled {
  const { animate, fps, format, opacity, captions } = choice;
  const animated = animate ?? (format === 'gif' || format === 'webp');
  if (fps !== undefined && !animated) throw refuse('Expected no `options.fps` without an animation');
  if (opacity !== undefined && !covered)
    throw refuse('Expected no `options.opacity` for maps that lie over no picture: give `options.picture`');
  if (captions !== undefined && captions.length !== pictures)
    throw refuse(
      `Expected ${pictures} of \`options.captions\`, one for each picture, but received ${captions.length}`,
    );
  return {
    animated,
    delay: Math.round(1000 / (fps ?? DEFAULT_FPS)),
    opacity: opacity ?? DEFAULT_OPACITY,
  };
}

/** The tensor and the pictures of a call, of which one is there. */
export type Input = { tensor: AnyTensor } | { sources: readonly PictureSource[] };

/** Tells tensors from pictures. Throws ERR_INVALID_ARG_VALUE for options that do not apply, ERR_DISPOSED. */
export function checkInput(input: unknown, isTensor: boolean, choice: Choice): Input {
  if (isTensor) {
    checkTensor('input', input);
    // `resize` and `crop` apply to a picture under the maps. The model reads a tensor as it is.
    const strangers = choice.forPictures.filter(
      (name) => choice.picture === undefined || !['resize', 'crop'].includes(name),
    );
    if (strangers.length > 0)
      throw refuse(
        `Expected no \`options.${strangers.join('`, `options.')}\` for a tensor, which is the model's input as it is`,
      );
    return { tensor: input as AnyTensor };
  }
  if (choice.picture !== undefined)
    throw refuse('Expected no `options.picture` for pictures: the maps lie over them');
  return { sources: sourcesOf('input', input, 'features stacked into one tensor (N, C, H, W)') };
}
