/** The optional package sharp: decodes and encodes pictures. */
import { messageOf, TokenLearnerError } from '../errors';
import type { SharpImage } from '../tensor/image-input';

const INSTALL = 'npm install sharp';

/** The part of sharp that is used here. */
interface Pipeline {
  rotate(): Pipeline;
  removeAlpha(): Pipeline;
  toColourspace(space: string): Pipeline;
  raw(): Pipeline;
  png(options: { compressionLevel: number }): Pipeline;
  webp(options: AnimationOptions & { quality: number }): Pipeline;
  gif(options: AnimationOptions & { keepDuplicateFrames?: boolean }): Pipeline;
  metadata(): Promise<{ pages?: number }>;
  toBuffer(options: { resolveWithObject: true }): Promise<{ data: Buffer; info: Info }>;
}
interface Info {
  width: number;
  height: number;
  channels: 1 | 2 | 3 | 4;
  pages?: number;
}
interface AnimationOptions {
  loop?: number;
  delay?: number[];
}
type Sharp = (input: Uint8Array, options?: object) => Pipeline;

/** Loads sharp. Throws ERR_SHARP_UNAVAILABLE. */
async function loadSharp(): Promise<Sharp> {
  try {
    return ((await import('sharp')) as unknown as { default: Sharp }).default;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    throw new TokenLearnerError(
      'ERR_SHARP_UNAVAILABLE',
      isMissing
        ? `Pictures are decoded and encoded by the package sharp, which is not installed. Install it with: ${INSTALL}`
        : `Pictures are decoded and encoded by the package sharp, which could not be loaded: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * Decodes a picture file as RGB, in the orientation of its metadata.
 *
 * @param name - of the file, for messages
 * @throws TokenLearnerError ERR_FILE_FORMAT, ERR_SHARP_UNAVAILABLE.
 */
export async function decodePicture(bytes: Uint8Array, name: string): Promise<SharpImage> {
  const sharp = await loadSharp();
  try {
    const pixels = sharp(bytes).rotate().toColourspace('srgb').removeAlpha().raw();
    return await pixels.toBuffer({ resolveWithObject: true });
  } catch (error) {
    const message = `${name}: not a picture that sharp can decode: ${messageOf(error)}`;
    throw new TokenLearnerError('ERR_FILE_FORMAT', message, { cause: error });
  }
}

/** Pages of equal size, one under the other. */
export interface Pages {
  /** RGBA. */
  readonly data: Uint8ClampedArray;
  readonly width: number;
  /** Of one page. */
  readonly height: number;
  readonly count: number;
  readonly transparent: boolean;
}

export type Encoding = 'png' | 'webp' | 'gif';

/** A file of pages. */
export interface Encoded {
  readonly data: Uint8Array;
  /** The pages in the file: WebP joins equal ones that follow each other, which stay for as long. */
  readonly count: number;
}

/** Encodes pages. Those of an animation stay `delay` milliseconds each, and begin again after the last. Throws ERR_SHARP_UNAVAILABLE. */
export async function encodePages(pages: Pages, format: Encoding, delay: number): Promise<Encoded> {
  const sharp = await loadSharp();
  const { data, width, height, count, transparent } = pages;
  const raw = { width, height: height * count, channels: 4, ...(count > 1 && { pageHeight: height }) };
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const pixels = sharp(bytes, { raw, limitInputPixels: false });
  const source = transparent ? pixels : pixels.removeAlpha();
  const animation = count > 1 ? { loop: 0, delay: new Array<number>(count).fill(delay) } : {};
  const encode = {
    png: () => source.png({ compressionLevel: 9 }),
    webp: () => source.webp({ quality: 90, ...animation }),
    gif: () => source.gif({ keepDuplicateFrames: true, ...animation }),
  }[format];
  const { data: file, info } = await encode().toBuffer({ resolveWithObject: true });
  if (count > 1 && info.pages !== count) {
    throw new TokenLearnerError(
      'ERR_SHARP_UNAVAILABLE',
      `The installed sharp is too old to write animations. Install a later one with: ${INSTALL}@latest`,
    );
  }
  if (count === 1 || format !== 'webp') return { data: file, count };
  const { pages: kept = 1 } = await sharp(file, { limitInputPixels: false }).metadata();
  return { data: file, count: kept };
}
