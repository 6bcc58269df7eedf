/**
 * Limits the memory that a file may take beyond its own size, through compressed records, strided tensors and wider dtypes: 20 times its size and
 * 64 MiB. torch.save does not compress, and weights hardly do, so a file that expands further is an attack.
 */
const EXPANSION_PER_BYTE = 20;
const FREE_EXPANSION = 2 ** 26;

/** The most bytes that a file of that size may take beyond it. */
export function expansionLimit(fileBytes: number): number {
  return FREE_EXPANSION + fileBytes * EXPANSION_PER_BYTE;
}
