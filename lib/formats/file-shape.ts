import { countElements, formatShape, type Shape } from '../shape';
import { quote, type Fail } from './format-error';

/**
 * The bytes of an array of that shape. Fails if that exceeds 2^53 - 1, with sizes of 0 counted as 1.
 *
 * @param what - names the array in error messages, such as 'tensor "a"'
 * @param itemBytes - bytes of one element; a fraction for elements smaller than a byte
 */
export function bytesOfShape(shape: Shape, itemBytes: number, what: string, fail: Fail): number {
  const elements = countElements(shape, itemBytes);
  if (elements === undefined) throw fail(`${what} has too large a shape ${formatShape(shape)}`);
  return elements * itemBytes;
}

/** Names a tensor of a file in messages. */
export function tensorNamed(name: string): string {
  return `tensor ${quote(name)}`;
}
