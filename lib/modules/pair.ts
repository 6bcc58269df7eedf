import { checkInteger, type IntegerRange, unexpected } from '../validate';

/** One number for both dimensions, or [height, width]. */
export type Pair = number | readonly [number, number];

/** Both numbers of a {@link Pair}. Throws ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE. */
export function checkPair(name: string, value: unknown, range: IntegerRange): [number, number] {
  if (!Array.isArray(value)) {
    const both = checkInteger(name, value, range);
    return [both, both];
  }
  if (value.length !== 2) {
    throw unexpected('ERR_INVALID_ARG_VALUE', name, 'a number or [height, width]', value);
  }
  return [checkInteger(`${name}[0]`, value[0], range), checkInteger(`${name}[1]`, value[1], range)];
}

/** A tuple as Python prints it. */
export function formatPair([height, width]: readonly [number, number]): string {
  return `(${height}, ${width})`;
}
