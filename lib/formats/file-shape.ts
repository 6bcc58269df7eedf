import { quote, type Fail } from './format-error';

/** The most axes of an array: NumPy's limit, PyTorch's and ours. */
export const MAX_AXES = 64;

/** A shape for messages. Those of files can be long. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

/**
 * The bytes of an array of that shape. Sizes of 0 count as 1 in the check of what is too large, as they do for strides.
 *
 * @param what - what error messages call the array, such as 'tensor "a"'
 * @param itemBytes - of one element; a fraction for those of less than a byte
 */
export function bytesOfShape(shape: readonly number[], itemBytes: number, what: string, fail: Fail): number {
  let elements = 1;
  for (const size of shape) {
    elements *= Math.max(size, 1);
    if (elements * itemBytes > Number.MAX_SAFE_INTEGER)
      throw fail(`${what} has too large a shape ${showShape(shape)}`);
  }
  return shape.includes(0) ? 0 : elements * itemBytes;
}

/** How messages name a tensor of a file. */
export function tensorNamed(name: string): string {
  return `tensor ${quote(name)}`;
}
