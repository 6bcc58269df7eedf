/** Pictures: as the model's input, and under the maps. */
import path from 'node:path';
import type { FloatDType } from '../dtype';
import { allocateBytes } from '../formats/file-io';
import { withInput } from '../formats/input';
import { Pace } from '../formats/pace';
import { fromImage } from '../tensor/image';
import { cropWindow, type ImageSize, resizedSize } from '../tensor/image-geometry';
import { checkPicture, type ImageInput, type Picture } from '../tensor/image-input';
import { adoptTensor, type AnyTensor } from '../tensor/tensor';
import type { InputOptions, PictureSource } from './options';
import { decodePicture } from './sharp';

/** Pixels that are converted at a stretch, in less than a millisecond. */
const PIECE = 2 ** 16;

/** A decoded picture. */
export interface Pixels extends ImageSize {
  /** width * height * channels bytes. */
  data: Uint8Array;
  channels: 1 | 3;
}

/** A picture and the name of its file. */
export interface Named {
  pixels: Pixels;
  name: string | undefined;
}

/** True for an object with pixels: `{ data, width, height }`, or `{ data, info }` as sharp gives it. */
function isDecoded(source: unknown): source is ImageInput {
  return typeof source === 'object' && source !== null && 'data' in source;
}

/** Reads a picture. Throws ERR_INVALID_ARG_*, ERR_FILE_IO, ERR_FILE_FORMAT, ERR_SHARP_UNAVAILABLE, and the errors of `Tensor.fromImage`. */
export async function readPicture(
  argument: string,
  source: PictureSource,
  grayscale: boolean,
): Promise<Named> {
  if (isDecoded(source)) {
    const picture = checkPicture(argument, source);
    // A copy: the caller may write to the pixels while others are drawn.
    const own = { ...picture, bytes: picture.bytes.slice() };
    return { pixels: await inChannels(own, grayscale), name: undefined };
  }
  return withInput(source, async ({ source: bytes, name, path: file }) => {
    const all = allocateBytes(bytes.size, name);
    await bytes.read(all, 0);
    const pixels = await inChannels(checkPicture(argument, await decodePicture(all, name)), grayscale);
    return { pixels, name: file === undefined ? undefined : path.basename(file) };
  });
}

/** A picture in one or three channels: the picture's own memory where it has as many. Grey is Pillow's: `image.convert('L')`. */
async function inChannels(picture: Picture, grayscale: boolean): Promise<Pixels> {
  const { bytes, width, height, channels } = picture;
  const target = grayscale ? 1 : 3;
  if (channels === target) return { data: bytes, width, height, channels: target };
  const count = width * height;
  const data = new Uint8Array(count * target);
  const pace = new Pace();
  for (let from = 0; from < count; from += PIECE) {
    convert(picture, data, from, Math.min(from + PIECE, count), target);
    await pace.pause();
  }
  return { data, width, height, channels: target };
}

/** Converts the pixels from one position to another. */
function convert(
  { bytes, channels, colors }: Picture,
  data: Uint8Array,
  from: number,
  to: number,
  target: 1 | 3,
): void {
  const [green, blue] = colors === 1 ? [0, 0] : [1, 2];
  for (let i = from; i < to; i++) {
    const at = i * channels;
    const [r, g, b] = [bytes[at] ?? 0, bytes[at + green] ?? 0, bytes[at + blue] ?? 0];
    if (target === 1) data[i] = colors === 1 ? r : luminance(r, g, b);
    else {
      data[i * 3] = r;
      data[i * 3 + 1] = g;
      data[i * 3 + 2] = b;
    }
  }
}

/** The brightness of a colour, by Pillow's arithmetic (ITU-R 601). */
export function luminance(red: number, green: number, blue: number): number {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}

/** The model's input: (1, channels, H, W). */
export async function asInput(pixels: Pixels, options: InputOptions, dtype: FloatDType): Promise<AnyTensor> {
  return adoptTensor(await fromImage(pixels, { ...options, dtype }));
}

/** The size of what the model sees of a picture. */
export function seenSize(pixels: ImageSize, { resize, crop }: InputOptions): ImageSize {
  const resized = resize === undefined ? pixels : resizedSize(pixels, resize);
  return crop === undefined ? resized : cropWindow(resized, crop);
}

/** What the model sees of a picture, in another size and in RGB. It comes from the pixels of the picture itself, not from the model's input. */
export async function shown(
  pixels: Pixels,
  options: InputOptions,
  size: ImageSize,
): Promise<Uint8ClampedArray> {
  const part = seenPart(pixels, options);
  const native = await fromImage(part, { resize: { width: size.width, height: size.height } });
  const tensor = adoptTensor(native);
  const image = tensor.toImage();
  tensor.dispose();
  const { data } = await inChannels(checkPicture('picture', image), false);
  return new Uint8ClampedArray(data.buffer, data.byteOffset, data.length);
}

/** The pixels that `resize` and `crop` keep, without the resize. A border counts as a whole pixel. */
function seenPart(pixels: Pixels, { resize, crop }: InputOptions): Pixels {
  if (crop === undefined) return pixels;
  const resized = resize === undefined ? pixels : resizedSize(pixels, resize);
  const window = cropWindow(resized, crop);
  const [across, down] = [pixels.width / resized.width, pixels.height / resized.height];
  const left = Math.min(Math.round(window.left * across), pixels.width - 1);
  const top = Math.min(Math.round(window.top * down), pixels.height - 1);
  const width = Math.max(Math.min(Math.round(window.width * across), pixels.width - left), 1);
  const height = Math.max(Math.min(Math.round(window.height * down), pixels.height - top), 1);
  const { channels } = pixels;
  const data = new Uint8Array(width * height * channels);
  for (let row = 0; row < height; row++) {
    const from = ((top + row) * pixels.width + left) * channels;
    data.set(pixels.data.subarray(from, from + width * channels), row * width * channels);
  }
  return { data, width, height, channels };
}
