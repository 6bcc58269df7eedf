/** Reads and checks a caller's pictures. */
import type { TypedArray } from '../dtype';
import { TokenLearnerError } from '../errors';
import { checkInteger, unexpected } from '../validate';
import { type ImageSize, PIXELS } from './image-geometry';
import { fixedBytes, typedArrayName } from './typed-array';

/**
 * The pixels of a decoded picture: what jpeg-js, pngjs and a canvas (`ImageData`) give. Rows from the top, without gaps; for each
 * pixel its channels.
 */
export interface RawImage {
  /** width * height * channels bytes. */
  readonly data: Uint8Array | Uint8ClampedArray;
  /** In pixels, at least 1. */
  readonly width: number;
  /** In pixels, at least 1. */
  readonly height: number;
  /**
   * 1 is grey, 2 is grey and alpha, 3 is RGB, 4 is RGB and alpha. @default what the length of `data` says
   */
  readonly channels?: number | undefined;
}

/** A decoded picture from sharp: the result of `sharp(file).raw().toBuffer({ resolveWithObject: true })`. */
export interface SharpImage {
  /** width * height * channels bytes. */
  readonly data: Uint8Array | Uint8ClampedArray;
  /** The size, and the channels as in {@link RawImage}. */
  readonly info: Required<Pick<RawImage, 'width' | 'height' | 'channels'>>;
}

/** A decoded picture. */
export type ImageInput = RawImage | SharpImage;

/** A checked picture. */
export interface Picture extends ImageSize {
  /** Our own view of the caller's memory. */
  bytes: Uint8Array;
  channels: number;
  /** The channels without alpha: 1 or 3. */
  colors: 1 | 3;
}

/**
 * Checks a caller's picture. Reads each property once. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_SHAPE_MISMATCH,
 * ERR_UNSUPPORTED_BUFFER or ERR_DETACHED.
 */
export function checkPicture(name: string, value: unknown): Picture {
  if (typeof value !== 'object' || value === null || typedArrayName(value) !== undefined) {
    const expected = 'a decoded picture, such as { data, width, height, channels },';
    throw unexpected('ERR_INVALID_ARG_TYPE', name, expected, value);
  }
  const { data, info, ...own } = properties(value);
  const [at, size] =
    own.width === undefined && isObject(info) ? [`${name}.info`, properties(info)] : [name, own];
  const width = checkInteger(`${at}.width`, size.width, PIXELS);
  const height = checkInteger(`${at}.height`, size.height, PIXELS);
  const kind = typedArrayName(data);
  if (kind !== 'Uint8Array' && kind !== 'Uint8ClampedArray') {
    throw unexpected('ERR_INVALID_ARG_TYPE', `${name}.data`, 'a Uint8Array or a Uint8ClampedArray', data);
  }
  const bytes = fixedBytes(`${name}.data`, data as TypedArray);
  const given = size.channels;
  const channels =
    given === undefined
      ? bytes.length / (width * height)
      : checkInteger(`${at}.channels`, given, { min: 1, max: 4 });
  if (bytes.length !== width * height * channels || ![1, 2, 3, 4].includes(channels)) {
    const expected =
      given === undefined ? '1 to 4 bytes' : `${channels} ${channels === 1 ? 'byte' : 'bytes'}`;
    throw new TokenLearnerError(
      'ERR_SHAPE_MISMATCH',
      `Expected ${expected} in \`${name}.data\` for each of ${width} x ${height} pixels but received ${bytes.length} bytes`,
    );
  }
  return { bytes, width, height, channels, colors: channels < 3 ? 1 : 3 };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The properties of a picture, inherited ones too: those of ImageData are getters of its prototype. */
function properties(value: object): Record<'data' | 'info' | 'width' | 'height' | 'channels', unknown> {
  const { data, info, width, height, channels } = value as Partial<Record<string, unknown>>;
  return { data, info, width, height, channels };
}
