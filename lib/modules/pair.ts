import { checkInteger, unexpected } from '../validate';

/** One number for both dimensions, or [height, width]. */
export type Pair = number | readonly [number, number];

// libtorch's pooling and its convolution libraries use 32-bit sizes.
const MOST = 2 ** 31 - 1;

/** Checks a {@link Pair} of integers of at least `min`. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or ERR_OUT_OF_RANGE. */
export function checkPair(name: string, value: unknown, { min }: { min: number }): [number, number] {
  const range = { min, max: MOST };
  if (!Array.isArray(value)) {
    const both = checkInteger(name, value, range);
    return [both, both];
  }
  if (value.length !== 2) {
    throw unexpected('ERR_INVALID_ARG_VALUE', name, 'a number or [height, width]', value);
  }
  return [checkInteger(`${name}[0]`, value[0], range), checkInteger(`${name}[1]`, value[1], range)];
}

/** Formats a pair as Python formats a tuple. */
export function formatPair([height, width]: readonly [number, number]): string {
  return `(${height}, ${width})`;
}
