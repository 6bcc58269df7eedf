/** The sizes of pictures: torchvision's Resize and CenterCrop, as arithmetic. Pure. */
import { checkInteger, checkOptions, isPlainObject, unexpected } from '../validate';

/** A size in pixels. */
export interface ImageSize {
  /** At least 1. */
  width: number;
  /** At least 1. */
  height: number;
}

/** The range of sizes in pixels, which native code counts in 32 bits. */
export const PIXELS = { min: 1, max: 2 ** 31 - 1 };

/** Checks a size: one number, or `{ width, height }`. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE. */
export function checkSize(name: string, value: unknown): number | ImageSize {
  if (typeof value === 'number') return checkInteger(name, value, PIXELS);
  if (!isPlainObject(value))
    throw unexpected('ERR_INVALID_ARG_TYPE', name, 'a number or { width, height }', value);
  const { width, height } = checkOptions(name, value, ['width', 'height']);
  return {
    width: checkInteger(`${name}.width`, width, PIXELS),
    height: checkInteger(`${name}.height`, height, PIXELS),
  };
}

/** The size after a resize. A number is the shorter side; the longer one keeps the proportion and is rounded down. Throws ERR_OUT_OF_RANGE. */
export function resizedSize({ width, height }: ImageSize, resize: number | ImageSize): ImageSize {
  if (typeof resize !== 'number') return resize;
  const [short, long] = width <= height ? [width, height] : [height, width];
  const longer = Math.floor((resize * long) / short);
  if (longer > PIXELS.max) {
    const expected = `a shorter side whose longer side is at most ${PIXELS.max}`;
    throw unexpected('ERR_OUT_OF_RANGE', 'options.resize', expected, resize);
  }
  return width <= height ? { width: resize, height: longer } : { width: longer, height: resize };
}

/** A centred part: its corner and its size. */
export interface CropWindow extends ImageSize {
  top: number;
  left: number;
}

/** The centred part of a picture. A number is a square. Throws ERR_OUT_OF_RANGE if the picture is smaller. */
export function cropWindow(size: ImageSize, crop: number | ImageSize): CropWindow {
  const { width, height } = typeof crop === 'number' ? { width: crop, height: crop } : crop;
  if (width > size.width || height > size.height) {
    const most = `at most ${size.width} x ${size.height}, the picture's size,`;
    throw unexpected('ERR_OUT_OF_RANGE', 'options.crop', most, crop);
  }
  return { top: halfToEven(size.height - height), left: halfToEven(size.width - width), width, height };
}

/** Python's `round(value / 2)`: a half goes to the even number. */
function halfToEven(value: number): number {
  const down = Math.floor(value / 2);
  return value % 2 === 0 || down % 2 === 0 ? down : down + 1;
}
